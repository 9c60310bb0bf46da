//! What the gateway answers over HTTP.

pub mod admin;
