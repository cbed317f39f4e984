//! The private side from outside, over real sockets: streams, requests, REST, admin interface.

mod client;
mod rest;
mod socket;
mod worse;
