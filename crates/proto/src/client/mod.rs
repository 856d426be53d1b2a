//! The client's side of a control connection.
//!
//! | file | what it is |
//! |---|---|
//! | `error` | what can go wrong in a session, in which phase, and who erred |

mod error;

pub use error::{Blame, Phase};
