//! What is found out of TLS by sessions of its own: whether it is offered, and whether it must be resumed.

use port21_client::{Error, TlsMode, TlsSettings};

use super::cause::Scene;
use super::report::{Cause, Check, Outcome, Side};
use super::steps::{Tell, Walk};
use super::transfers::listed;
use crate::exit::client_sentence;

impl Walk<'_> {
    /// What is told of TLS by sessions of its own: whether the server offers it, or demands that sessions are resumed.
    pub(super) async fn security(&mut self, scene: &Scene, resumed: bool, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        if scene.secure {
            if resumed {
                self.demand(tell).await?;
            }
            return Ok(());
        }
        // It is to be known whether there is TLS, not who speaks it: nothing secret is said.
        let trust = TlsSettings { insecure: true, ..TlsSettings::default() };
        let settings = self.log.beside(&self.settings).tls(TlsMode::Explicit).tls_settings(trust);
        let (took, client) = self.timed(settings.connect()).await;
        let outcome = if scene.guest { Outcome::Passed } else { Outcome::Noticed };
        let check = match client {
            Ok(client) => {
                let found = format!("offered, and not used: {}", client.protection().unwrap_or_default());
                let _ = client.quit().await;
                let check = Check::new("TLS", outcome, Some(took), found);
                if scene.guest {
                    check
                } else {
                    check.because(in_clear(Side::Client, "say --tls, or write the URL as ftpes://"))
                }
            }
            Err(error) => {
                let check = Check::new("TLS", outcome, Some(took), format!("not offered: {}", client_sentence(&error)));
                let advice = "switch TLS on at the server: ssl_enable=YES (vsftpd), TLSEngine on (proftpd), --tls=1 \
                    (pure-ftpd), tls.mode (port21)";
                if scene.guest { check } else { check.because(in_clear(Side::Server, advice)) }
            }
        };
        self.add(check, tell)
    }

    /// Whether the server demands that data connections resume the TLS session: tried by one that does not.
    async fn demand(&mut self, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let trust = TlsSettings { no_resumption: true, ..self.settings.tls_settings_of().clone() };
        let settings = self.log.beside(&self.settings).tls_settings(trust);
        let directory = self.place.path().to_vec();
        let attempt = async {
            let mut client = settings.open().await?;
            let listed = listed(&mut client, &directory).await;
            let _ = client.quit().await;
            listed
        };
        let (took, listed) = self.timed(attempt).await;
        let check = match listed {
            Ok(_) => Check::new("TLS reuse", Outcome::Passed, Some(took), "not demanded: any data connection is taken"),
            Err(error) if error.reply().is_some() || matches!(error, Error::Tls { .. } | Error::Transport { .. }) => {
                let found = format!("demanded: without it {}", client_sentence(&error));
                Check::new("TLS reuse", Outcome::Noticed, Some(took), found).because(Cause {
                    side: Side::Server,
                    text: "it takes only data connections that resume the TLS session of the control connection, so that nobody \
                        else can take them over. port21 does, as do curl, lftp and FileZilla; clients that do not fail at \
                        their first listing"
                        .to_owned(),
                    advice: "keep it where all clients can; for those that cannot: require_ssl_reuse=NO (vsftpd), TLSOptions \
                        NoSessionReuseRequired (proftpd), tls.session-reuse = \"prefer\" (port21)"
                        .to_owned(),
                })
            }
            Err(error) => Check::new(
                "TLS reuse",
                Outcome::NotTried,
                Some(took),
                format!("it cannot be told: {}", client_sentence(&error)),
            ),
        };
        self.add(check, tell)
    }
}

/// `side`: where TLS could be switched on.
fn in_clear(side: Side, advice: &str) -> Cause {
    Cause {
        side,
        text: "the password and the files go in clear text: all who the packets pass can read them".to_owned(),
        advice: advice.to_owned(),
    }
}
