//! The client's side of a control connection.
//!
//! | file | what it is |
//! |---|---|
//! | `session` | [`ClientSession`]: replies are matched to commands, and jobs to their users |
//! | `core` | what all jobs share: outputs, replies that are owed, what is overdue |
//! | `job` | the jobs that move no data: login, commands, probing, QUIT |
//! | `ahead` | commands that are sent before those ahead of them are answered, and replies that come out of step |
//! | `login` | USER and PASS as one |
//! | `transfer` | the jobs that do: the command itself, and the end of both connections |
//! | `prelude` | what is set before it: PROT, TYPE, REST |
//! | `channel` | the ways to a data connection: EPSV, PASV, PORT, EPRT, and from one to the other |
//! | `tls` | AUTH, CCC and PROT: from clear text to TLS and back |
//! | `abort` | ABOR, and finding back into step |
//! | `features` | what FEAT has told |
//! | `action` | [`Request`], [`Output`], [`Outcome`]: what is asked for, and of whom |
//! | `error` | [`SessionError`]: which phase, who erred, and the server's words |

mod abort;
mod action;
mod ahead;
mod channel;
mod core;
mod error;
mod features;
mod job;
mod login;
mod prelude;
mod session;
mod tls;
mod transfer;

pub use action::{
    Action, Answer, DataMode, DataState, JobId, Limits, LoginStep, Outcome, Output, Request, Settings, Started,
    Transfer, TransferRequest,
};
pub use channel::Learned;
pub use error::{Blame, Phase, SessionError};
pub use features::Features;
pub use session::ClientSession;
