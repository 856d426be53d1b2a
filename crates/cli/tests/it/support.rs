//! A server to run commands against, and the commands.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

/// The binary, with nothing of the user who runs the tests: no home, no logins, no settings.
pub(crate) fn port21(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_port21"));
    command.env_clear().env("HOME", home).env("TERM", "dumb").current_dir(home).stdin(Stdio::null());
    command
}

/// A server on a port of its own, with a user `bob` who may write and a guest who may not; and a directory for its client.
pub(crate) struct Site {
    server: Child,
    address: String,
    root: TempDir,
    here: TempDir,
}

impl Site {
    pub(crate) fn start() -> Site {
        Site::with_flags(&[])
    }

    pub(crate) fn with_flags(flags: &[&str]) -> Site {
        let (root, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(root.path().join("pub")).unwrap();
        std::fs::write(root.path().join("pub/readme.txt"), "one\ntwo\n").unwrap();
        std::fs::write(root.path().join("pub/a b.bin"), [0, 13, 10, 255]).unwrap();
        let (server, address) = serve(root.path(), here.path(), "atomic", flags);
        Site { server, address, root, here }
    }

    /// A guest's URL.
    pub(crate) fn guest(&self, path: &str) -> String {
        format!("ftp://{}/{path}", self.address)
    }

    /// The URL of a user who may write.
    pub(crate) fn bob(&self, path: &str) -> String {
        format!("ftp://bob:secret@{}/{path}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.parse().unwrap()
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    pub(crate) fn server(&self) -> &Child {
        &self.server
    }

    /// Waits for the server's end, and gives its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.server.wait().unwrap().code()
    }

    /// A file of the server.
    pub(crate) fn remote(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// A file of the client.
    pub(crate) fn local(&self, path: &str) -> PathBuf {
        self.here.path().join(path)
    }

    /// A client's command in its directory.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = port21(self.here.path());
        command.args(args);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().unwrap())
    }

    /// Runs a command with this on its standard input.
    pub(crate) fn feed(&self, args: &[&str], input: &str) -> Ran {
        feed(self.command(args), input)
    }
}

/// A server of a directory, and its address, once it listens there.
pub(crate) fn serve(root: &Path, home: &Path, commit: &str, flags: &[&str]) -> (Child, String) {
    let mut command = port21(home);
    command.args(["serve", "--listen", "127.0.0.1:0", "--anonymous", "--user", "bob:secret", "--write"]);
    command.args(["--passive-ports", "1024-65535", "--commit", commit]).args(flags).arg(root);
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("ftp://").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
    (server, address)
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs a command with this on its standard input.
pub(crate) fn feed(mut command: Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that needs no more of it closes its end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::new(child.wait_with_output().unwrap())
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The error of a command that must have failed in this way: one line.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.err.trim_end().lines().count(), 1, "{self:?}");
        self.err
    }
}

/// Puts a certificate for a name into a directory, `NAME.pem`, and its key, `NAME.key`.
pub(crate) fn make_certificate(dir: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    std::fs::write(dir.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    std::fs::write(dir.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
}

/// A TLS client that believes this certificate alone.
pub(crate) fn trusting(pem: &Path) -> ClientConfig {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    config.with_safe_default_protocol_versions().unwrap().with_root_certificates(trusted).with_no_client_auth()
}

/// A connection that goes on under TLS, with a server of that name; the handshake is done.
pub(crate) fn protected(
    config: &Arc<ClientConfig>,
    name: &str,
    connection: TcpStream,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), connection);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}
