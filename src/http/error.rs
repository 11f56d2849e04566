//! Why there is no server.

use std::net::SocketAddr;

/// An error of the worker's front end.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be had.
    #[error("cannot listen on {listen}: {source}; choose another with worker.listen or --listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}
