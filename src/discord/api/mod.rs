//! Discord over REST: typed calls, each through the queue of its bucket.
