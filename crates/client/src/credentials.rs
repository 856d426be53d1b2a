//! Who logs in.

use port21_proto::Secret;

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password: sent when the server asks for one.
    pub password: Secret,
    /// The account: sent when the server asks for one (332).
    pub account: Option<Secret>,
}

impl Credentials {
    /// Of a user with a password.
    pub fn new(user: impl Into<String>, password: impl Into<Vec<u8>>) -> Credentials {
        Credentials { user: user.into(), password: Secret::new(password), account: None }
    }

    /// Of an anonymous guest (RFC 1635), who gives no address of a real person.
    pub fn anonymous() -> Credentials {
        Credentials::new("anonymous", "anonymous@")
    }
}
