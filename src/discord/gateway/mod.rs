//! Discord over the gateway: shards that listen.
