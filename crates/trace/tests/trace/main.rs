//! The crate as its callers see it: recordings read and written, the reference session drawn, and anything at all drawn
//! without harm.

mod anything;
mod captures;
mod causes;
mod entries;
mod events;
mod findings;
mod follow;
mod frames;
mod fuzzed;
mod html;
mod json;
mod live;
mod mermaid;
mod message;
mod packets;
mod pdf;
mod recordings;
mod reference;
mod sessions;
