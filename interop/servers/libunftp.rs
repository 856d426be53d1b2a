//! libunftp as a program, for the interoperation checks: `libunftp HOST PORT FIRST LAST ROOT USER [CERTIFICATE KEY]`; the password is
//! in PASSWORD. With a certificate it lets nobody in without TLS.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use libunftp::ServerBuilder;
use libunftp::options::{ActivePassiveMode, FtpsRequired, TlsFlags};
use tokio::signal::unix::{SignalKind, signal};
use unftp_core::auth::{AuthenticationError, Authenticator, Credentials, Principal};
use unftp_sbe_fs::Filesystem;

const TLS: TlsFlags = TlsFlags::V1_2.union(TlsFlags::V1_3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, first, last, root, user, pair @ ..] = args.as_slice() else {
        return Err("too few arguments".into());
    };
    let root = PathBuf::from(root);
    // It fails here, and not at the first session.
    Filesystem::new(&root)?;
    let known = Known { user: user.clone(), password: std::env::var("PASSWORD")? };
    let site = move || Filesystem::new(&root).expect("it was there a moment ago");
    let mut server = ServerBuilder::with_authenticator(Box::new(site), Arc::new(known))
        .active_passive_mode(ActivePassiveMode::ActiveAndPassive)
        .passive_ports(first.parse()?..=last.parse()?)
        .greeting("libunftp");
    if let [certificate, key] = pair {
        server = server.ftps(certificate, key).ftps_required(FtpsRequired::All, FtpsRequired::All).ftps_tls_flags(TLS);
    }
    let mut end = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = server.build()?.listen(format!("{host}:{port}")) => Ok(ended?),
        _ = end.recv() => Ok(()),
    }
}

/// The one user.
#[derive(Debug)]
struct Known {
    user: String,
    password: String,
}

impl Authenticator for Known {
    fn authenticate<'s, 'u, 'c, 'f>(
        &'s self,
        username: &'u str,
        creds: &'c Credentials,
    ) -> Pin<Box<dyn Future<Output = Result<Principal, AuthenticationError>> + Send + 'f>>
    where
        's: 'f,
        'u: 'f,
        'c: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            match creds.password.as_ref() == Some(&self.password) && username == self.user {
                true => Ok(Principal { username: username.to_owned() }),
                false => Err(AuthenticationError::BadPassword),
            }
        })
    }
}
