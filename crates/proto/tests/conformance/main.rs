//! What the RFCs ask of a server, filed by RFC and section: the folder of a test is the RFC, its file the section, its
//! documentation what is asked, in our own words. `docs/conformance.md` is written from them: see `document`.

mod behaviour;
#[path = "../server/bench.rs"]
mod bench;
mod document;
mod play;

#[path = "../drafts/mod.rs"]
mod drafts;
#[path = "../rfc1123/mod.rs"]
mod rfc1123;
#[path = "../rfc2228/mod.rs"]
mod rfc2228;
#[path = "../rfc2389/mod.rs"]
mod rfc2389;
#[path = "../rfc2428/mod.rs"]
mod rfc2428;
#[path = "../rfc2577/mod.rs"]
mod rfc2577;
#[path = "../rfc2640/mod.rs"]
mod rfc2640;
#[path = "../rfc3659/mod.rs"]
mod rfc3659;
#[path = "../rfc4217/mod.rs"]
mod rfc4217;
#[path = "../rfc7151/mod.rs"]
mod rfc7151;
#[path = "../rfc959/mod.rs"]
mod rfc959;
