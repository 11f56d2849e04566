//! What a channel shows, compared with the line of its scene.
