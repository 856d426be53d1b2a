//! What a session under TLS can be asked, and told.

use port21_proto::Reply;
use port21_proto::client::{Answer, Request};

use crate::client::Client;
use crate::error::Error;
use crate::tls::Pin;
use crate::tls::engine::Engine;

impl Client {
    /// Whether the control connection is under TLS now.
    pub fn is_secure(&self) -> bool {
        self.link.session().is_secure()
    }

    /// What TLS on the control connection has come to: the version and the cipher suite, in words. Nothing in clear text.
    pub fn protection(&self) -> Option<String> {
        self.link.tls().map(Engine::description)
    }

    /// By what the server can be pinned: its certificate's fingerprint, and its key. Nothing in clear text.
    pub fn server_pins(&self) -> Option<(Pin, Pin)> {
        let certificate = self.link.tls()?.peer_certificate()?;
        Some((Pin::of_certificate(certificate)?, Pin::of_key(certificate)?))
    }

    /// Whether the data connection of the last transfer has resumed the control connection's TLS session; nothing where it
    /// was not under TLS.
    pub fn data_resumed(&self) -> Option<bool> {
        self.link.data_resumed()
    }

    /// Sets whether the files and listings that follow are under TLS (PROT P or C), where the session is. Nothing is sent
    /// before the next of them.
    pub fn set_protect_data(&mut self, private: bool) {
        self.settings.protect_data = private;
        self.link.protect_data(private);
    }

    /// Ends TLS on the control connection (CCC, RFC 4217 section 12), so that a firewall or NAT can read the ports in it. Data
    /// connections stay as they were. From then on all who the packets pass can read the commands, and put in others: nothing
    /// but such a firewall is a reason for it. A session that is begun anew is under TLS again.
    ///
    /// # Errors
    /// See [`Client`]; in the phase TLS, where the session is over. Cancel safety: where the future is dropped after the
    /// server has agreed, the next call begins the session anew.
    pub async fn clear_control(&mut self) -> Result<Reply, Error> {
        self.ready().await?;
        if !self.is_secure() {
            return Err(Error::Usage("the control connection is in clear text already"));
        }
        self.altered = true;
        match self.run(Request::StopTls).await? {
            Answer::Reply(reply) => Ok(reply),
            _ => Err(Error::Usage("the call was answered by another")),
        }
    }
}
