//! Servers that the client has to live with: each is a script that misbehaves so.
//!
//! | file | whose ways |
//! |---|---|
//! | `ahead` | what is sent ahead is dropped, taken for one line, or answered in another order |
//! | `replies` | 226 too early, too late, twice; no 150; other codes; replies without an end of their own; 421; QUIT, ABOR unanswered |
//! | `passive` | EPSV and PASV in other words, with addresses that lead elsewhere, or nowhere; PRET |
//! | `features` | FEAT in other forms, refused, wrong; OPTS, CLNT |
//! | `files` | SIZE, MDTM, REST; empty directories, existing ones, directories that list themselves; the options of LIST |
//! | `hostile` | what has no end, what would be two commands, what would paint the terminal |
//! | `tls` | no tickets, no end, another certificate; TLS that begins or ends in a way of its own |

mod ahead;
mod features;
mod files;
mod hostile;
mod passive;
mod replies;
pub(crate) mod tls;
