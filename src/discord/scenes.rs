//! Opening scenes in threads, forum posts and channels.
