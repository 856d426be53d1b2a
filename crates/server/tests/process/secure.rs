//! Sessions under TLS that are cut off anywhere: in a handshake, in a record, between two, on either connection.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;

use port21_server::tls::{Certificates, Pair, TlsSettings};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::{ENDINGS, Ending, HERE, PATIENCE, Site, VERBS, at_rest, reset, with_number};

/// How far apart the places are at which one kind of session is cut. Two versions, three verbs and four endings begin at
/// places of their own, and cut at every second byte together: every one takes half a minute.
const STRIDE: usize = 48;

#[test]
fn of_a_session_under_tls_that_is_cut_off_anywhere_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pair = Pair { chain: dir.path().join("chain.pem"), key: dir.path().join("key.pem") };
    std::fs::write(&pair.chain, made.cert.pem()).unwrap();
    std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = |version: &'static SupportedProtocolVersion| {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        Arc::new(builder.with_root_certificates(roots.clone()).with_no_client_auth())
    };
    let tls = TlsSettings::new(Arc::new(Certificates::read(vec![pair]).unwrap()));
    let site = Site::with(Some(tls), |settings| settings.session.tls.allow_ccc = true);
    std::fs::write(site.dir.path().join("file"), vec![b'x'; 100_000]).unwrap();

    let versions = [&TLS12, &TLS13].map(client);
    let mut whole = 0;
    for (config, verb) in versions.iter().flat_map(|config| VERBS.map(|verb| (config, verb))) {
        let (said, result) = Session::cut_behind(&site, config, verb, usize::MAX, Ending::Quit);
        result.unwrap();
        whole = whole.max(said);
    }
    let before = at_rest(&site);
    let mut first = 0;
    for (config, verb) in versions.iter().flat_map(|config| VERBS.map(|verb| (config, verb))) {
        for ending in ENDINGS {
            for bytes in (first..whole).step_by(STRIDE) {
                // How it ends is told by what is left.
                let _ = Session::cut_behind(&site, config, verb, bytes, ending);
            }
            first = (first + 2) % STRIDE;
            site.wait_until_held_is(before, &format!("{verb}, {ending:?}"));
        }
    }
    site.login().command("NOOP", 200);
}

/// A socket that takes only so many bytes.
struct Cut {
    socket: TcpStream,
    left: Rc<Cell<usize>>,
}

impl Cut {
    fn new(socket: TcpStream, left: &Rc<Cell<usize>>) -> Cut {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Cut { socket, left: left.clone() }
    }
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(self.left.get())];
        if part.is_empty() && !bytes.is_empty() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.socket.write_all(part)?;
        self.left.set(self.left.get() - part.len());
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

type Secure = StreamOwned<ClientConnection, Cut>;

/// A session that says only so much, on both of its connections together.
struct Session<'a> {
    config: &'a Arc<ClientConfig>,
    left: Rc<Cell<usize>>,
    /// Other handles of the sockets, for an end that TLS has no part in.
    sockets: Vec<TcpStream>,
}

impl Session<'_> {
    /// How many bytes it has said, and whether it came to its end.
    fn cut_behind(
        site: &Site,
        config: &Arc<ClientConfig>,
        verb: &str,
        bytes: usize,
        ending: Ending,
    ) -> (usize, io::Result<()>) {
        let left = Rc::new(Cell::new(bytes));
        let mut session = Session { config, left, sockets: Vec::new() };
        let control = TcpStream::connect(site.addr).unwrap();
        session.sockets.push(control.try_clone().unwrap());
        let result = session.talks(control, &with_number(verb));
        let mut sockets = session.sockets.into_iter();
        let mut control = sockets.next().unwrap();
        match ending {
            // In clear, and perhaps in the middle of a record: that is what a client that has lost its TLS does.
            Ending::Abort => {
                let _ = control.write_all(b"\r\nABOR\r\nQUIT\r\n");
                let _ = control.shutdown(std::net::Shutdown::Write);
                let _ = control.read_to_end(&mut Vec::new());
            }
            Ending::Quit => drop(control.write_all(b"\r\nQUIT\r\n")),
            Ending::Reset => [control].into_iter().chain(sockets).for_each(reset),
            Ending::Gone => {}
        }
        (bytes - session.left.get(), result)
    }

    fn talks(&mut self, socket: TcpStream, verb: &str) -> io::Result<()> {
        let mut clear = Control(BufReader::new(Cut::new(socket, &self.left)));
        clear.reply(220)?;
        clear.command("AUTH TLS", 234)?;
        let Cut { socket, .. } = clear.0.into_inner();
        let mut control = Control(BufReader::new(self.secure(socket)?));
        for (line, code) in [("USER user", 331), ("PASS x", 230), ("PBSZ 0", 200), ("PROT P", 200), ("TYPE I", 200)] {
            control.command(line, code)?;
        }
        let told = control.command("EPSV", 229)?;
        let port = port21_proto::addr::parse_epsv(told.trim_end().as_bytes()).unwrap();
        let data = TcpStream::connect((HERE, port)).unwrap();
        self.sockets.push(data.try_clone().unwrap());
        control.command(verb, 150)?;
        let mut data = self.secure(data)?;
        if verb.starts_with("STOR") {
            data.write_all(b"a few bytes")?;
            data.flush()?;
            data.conn.send_close_notify();
            data.conn.complete_io(&mut data.sock)?;
        }
        data.read_to_end(&mut Vec::new())?;
        drop(data);
        control.reply(226)?;
        control.command("CCC", 200)?;
        let mut secure = control.0.into_inner();
        secure.conn.send_close_notify();
        while secure.conn.wants_write() {
            secure.conn.write_tls(&mut secure.sock)?;
        }
        // The server's own, to its end.
        while secure.read(&mut [0])? > 0 {}
        let mut clear = Control(BufReader::new(secure.sock));
        clear.command("NOOP", 200)?;
        Ok(())
    }

    /// TLS on a socket, once the handshake is done.
    fn secure(&self, socket: TcpStream) -> io::Result<Secure> {
        let name = ServerName::try_from("localhost").unwrap();
        let conn = ClientConnection::new(self.config.clone(), name).unwrap();
        let mut stream = StreamOwned::new(conn, Cut::new(socket, &self.left));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }
}

/// A control connection.
struct Control<S: Read>(BufReader<S>);

impl<S: Read + Write> Control<S> {
    fn command(&mut self, line: &str, code: u16) -> io::Result<String> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.0.get_mut().flush()?;
        self.reply(code)
    }

    fn reply(&mut self, code: u16) -> io::Result<String> {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            if line.as_bytes().get(3) == Some(&b' ') {
                let told = line.starts_with(&code.to_string());
                return if told { Ok(line) } else { Err(io::Error::other(line)) };
            }
            if line.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
