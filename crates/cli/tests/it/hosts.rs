//! Further sites: asked for by HOST and by SNI, each with its own tree, people, greeting and certificate.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::{ClientConnection, StreamOwned};

use super::operations::{PATIENCE, Service};
use super::support::{make_certificate, port21, protected, trusting};

/// Beside the site to begin with, which bob and guests know.
const HOSTS: &str = "[[host]]\nnames = [\"one.example\"]\nroot = \"DIR/one\"\ngreeting = \"Welcome to one\"\n\
    user = [{ name = \"ann\", password = \"opensesame\" }]\n\
    [[host]]\nnames = [\"two.example\", \"2.example\"]\nroot = \"DIR/two\"\naccounts = { file = \"two.toml\" }\n\
    anonymous = { enabled = true, max-sessions = 1 }\n";

/// Trees whose files tell them apart, accounts of the second, and a certificate for each name.
fn prepare(dir: &Path) {
    for (site, bytes) in [("one", "1"), ("two", "two")] {
        std::fs::create_dir(dir.join(site)).unwrap();
        std::fs::write(dir.join(site).join("file"), bytes).unwrap();
    }
    let add = ["user", "add", "carol", "--users", "two.toml"];
    let added = port21(dir).args(add).env("PORT21_PASSWORD", "opensesame").output().unwrap();
    assert!(added.status.success(), "{added:?}");
    for name in ["main.example", "one.example", "two.example"] {
        make_certificate(dir, name);
    }
}

fn start(toml: &str) -> Service {
    Service::start_with(toml, |command: &mut Command| prepare(command.get_current_dir().unwrap()))
}

/// A control connection, by its raw lines.
struct Control<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Control<S> {
    fn reply(&mut self) -> String {
        let mut all = String::new();
        loop {
            let start = all.len();
            assert_ne!(self.0.read_line(&mut all).unwrap(), 0, "no reply: {all}");
            if all.as_bytes().get(start + 3) == Some(&b' ') {
                return all;
            }
        }
    }

    #[track_caller]
    fn say(&mut self, line: &str, code: u16) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.0.get_mut().flush().unwrap();
        let reply = self.reply();
        assert!(reply.starts_with(&code.to_string()), "{line}: {reply}");
        reply
    }

    #[track_caller]
    fn log_in(&mut self, user: &str, password: &str, code: u16) {
        self.say(&format!("USER {user}"), 331);
        self.say(&format!("PASS {password}"), code);
    }

    /// By how many bytes it has: a file tells its site.
    #[track_caller]
    fn is_at(&mut self, size: usize) {
        self.say("TYPE I", 200);
        assert_eq!(self.say("SIZE file", 213).trim_end(), format!("213 {size}"));
    }
}

fn connect(service: &Service) -> Control<TcpStream> {
    let stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut control = Control(BufReader::new(stream));
    control.reply();
    control
}

/// A client that asks for a site, in clear.
fn at(service: &Service, host: &str) -> Control<TcpStream> {
    let mut control = connect(service);
    control.say(&format!("HOST {host}"), 220);
    control
}

type Protected = Control<StreamOwned<ClientConnection, TcpStream>>;

/// Goes on under TLS. The certificate has to be for `expected`; that name is told (SNI) where `told`.
fn protect(service: &Service, mut control: Control<TcpStream>, expected: &str, told: bool) -> Protected {
    control.say("AUTH TLS", 234);
    let mut config = trusting(&service.path(&format!("{expected}.pem")));
    config.enable_sni = told;
    let stream = protected(&Arc::new(config), expected, control.0.into_inner());
    Control(BufReader::new(stream))
}

#[test]
fn each_host_has_its_own_tree_people_and_greeting() {
    let service = start(HOSTS);
    let mut main = connect(&service);
    main.say("HOST three.example", 504);
    main.log_in("bob", "secret", 230);
    main.is_at(5);
    let mut one = connect(&service);
    assert!(one.say("HOST ONE.example.", 220).contains("Welcome to one"));
    // The users of other sites are nobody's here, nor are guests.
    for (user, password) in [("bob", "secret"), ("carol", "opensesame")] {
        one.log_in(user, password, 530);
    }
    one.log_in("ann", "opensesame", 230);
    one.is_at(1);
    let mut two = at(&service, "2.example");
    two.log_in("ann", "opensesame", 530);
    two.log_in("carol", "opensesame", 230);
    two.is_at(3);
    connect(&service).log_in("carol", "opensesame", 530);
    at(&service, "one.example").log_in("anonymous", "guest@", 530);
    // Its limit of guests counts its own alone.
    let mut elsewhere = connect(&service);
    elsewhere.log_in("anonymous", "guest@", 230);
    let mut guest = at(&service, "two.example");
    guest.log_in("anonymous", "guest@", 230);
    guest.is_at(3);
    at(&service, "two.example").log_in("anonymous", "guest@", 421);
}

#[test]
fn host_and_the_name_in_the_handshake_choose_the_certificate_and_the_site() {
    let pair = |name: &str| format!("{{ chain = \"DIR/{name}.pem\", key = \"DIR/{name}.key\" }}\n");
    let certificate = |name: &str| format!("certificate = {}", pair(name));
    let hosts = HOSTS.replacen("[[host]]\n", &format!("[[host]]\n{}", certificate("one.example")), 1);
    let tls =
        "[tls]\nmode = \"offer\"\n[[certificate]]\nchain = \"DIR/main.example.pem\"\nkey = \"DIR/main.example.key\"\n";
    let service = start(&format!("{tls}{hosts}{}", certificate("two.example")));
    let mut main = protect(&service, connect(&service), "main.example", false);
    main.log_in("bob", "secret", 230);
    main.is_at(5);
    let mut by_host = protect(&service, at(&service, "two.example"), "two.example", false);
    by_host.log_in("carol", "opensesame", 230);
    by_host.is_at(3);
    let mut by_name = protect(&service, connect(&service), "one.example", true);
    by_name.log_in("carol", "opensesame", 530);
    by_name.log_in("ann", "opensesame", 230);
    by_name.is_at(1);
    // HOST has the last word.
    let mut both = protect(&service, connect(&service), "one.example", true);
    both.say("HOST two.example", 220);
    both.log_in("ann", "opensesame", 530);
    both.log_in("carol", "opensesame", 230);
    both.is_at(3);
    // A certificate that is not for its host would never be shown.
    service.write(&format!("{tls}{hosts}{}", certificate("main.example")));
    let told = service.run(&["reload"]).fails(5);
    assert!(
        told.contains("`host.certificate.chain`") && told.contains("main.example.pem is not for two.example"),
        "{told}"
    );
}

#[test]
fn hosts_come_and_change_by_a_reload() {
    let service = start(HOSTS);
    std::fs::create_dir(service.path("one/below")).unwrap();
    std::fs::write(service.path("one/below/file"), "four").unwrap();
    let mut session = at(&service, "one.example");
    session.log_in("ann", "opensesame", 230);
    let more = "[[host]]\nnames = [\"four.example\"]\nroot = \"DIR/one/below\"\nanonymous = { enabled = true }\n";
    service.write(&format!("{}{more}", HOSTS.replace("Welcome to one", "One anew")));
    service.run(&["reload"]).ok();
    let mut fresh = connect(&service);
    assert!(fresh.say("HOST one.example", 220).contains("One anew"));
    let mut four = at(&service, "four.example");
    four.log_in("anonymous", "guest@", 230);
    four.is_at(4);
    session.is_at(1);
    // One that is gone is no host any more; a mistake changes nothing.
    service.write(&HOSTS.replace("two.example", "ONE.example"));
    assert!(service.run(&["reload"]).fails(5).contains("`host.names`"));
    at(&service, "four.example");
    service.write("");
    service.run(&["reload"]).ok();
    connect(&service).say("HOST four.example", 220);
    // Nobody could say any more who may be there.
    assert!(session.reply().starts_with("421"));
}

/// Their file cannot take the accounts away from them any more: it is not looked at.
#[test]
fn sessions_end_where_their_file_of_accounts_is_named_no_more() {
    let service = start(&format!("[accounts]\nfile = \"DIR/two.toml\"\n{HOSTS}"));
    let (mut main, mut two, mut bob) = (connect(&service), at(&service, "2.example"), connect(&service));
    main.log_in("carol", "opensesame", 230);
    two.log_in("carol", "opensesame", 230);
    bob.log_in("bob", "secret", 230);
    let mut late = connect(&service);
    std::fs::copy(service.path("two.toml"), service.path("other.toml")).unwrap();
    service.write(&format!("[accounts]\nfile = \"DIR/other.toml\"\n{HOSTS}"));
    service.run(&["reload"]).ok();
    assert!(main.reply().starts_with("421"));
    late.log_in("carol", "opensesame", 421);
    connect(&service).log_in("carol", "opensesame", 230);
    // It is still that of a host.
    two.is_at(3);
    bob.is_at(5);
    service.write(&HOSTS.replace("accounts = { file = \"two.toml\" }\n", ""));
    service.run(&["reload"]).ok();
    assert!(two.reply().starts_with("421"));
    bob.is_at(5);
}

#[test]
fn a_name_at_one_host_is_another_at_the_next() {
    let ann = "user = [{ name = \"bob\", password = \"opensesame\" }]";
    let toml = HOSTS.replace("user = [{ name = \"ann\", password = \"opensesame\" }]", ann);
    let service = start(&toml);
    let (mut main, mut one) = (connect(&service), at(&service, "one.example"));
    main.log_in("bob", "secret", 230);
    one.log_in("bob", "opensesame", 230);
    let status = service.status();
    let hosts: Vec<_> = status["sessions"].as_array().unwrap().iter().map(|session| session["host"].as_str()).collect();
    assert_eq!(hosts, [None, Some("one.example")]);
    assert!(service.run(&["kick", "bob", "--host", "three.example"]).fails(5).contains("there is no site"));
    assert!(service.run(&["kick", "bob", "--host", "two.example"]).fails(5).contains("nobody"));
    service.run(&["kick", "bob", "--host", "ONE.example"]).ok();
    assert!(one.reply().starts_with("421"));
    main.is_at(5);
    service.run(&["kick", "bob", "--host", "-"]).ok();
    assert!(main.reply().starts_with("421"));
}

#[test]
fn a_host_has_a_program_of_its_own_that_knows_who_may_log_in() {
    // Each says yes to everybody, at its own site alone.
    let yes = "program = [\"/bin/sh\", \"-c\", \"read -r q; case $q in *'\\\"site\\\":SITE'*) echo '{\\\"login\\\":true}';; \
               *) echo '{\\\"login\\\":false}';; esac\"]";
    let two = yes.replace("SITE", "\\\"two.example\\\"");
    let toml = HOSTS.replace("accounts = { file = \"two.toml\" }", &format!("authenticator = {{ {two} }}"));
    let main = yes.replace("SITE", "null");
    let service = start(&format!("[authenticator]\n{main}\n{toml}"));
    at(&service, "2.example").log_in("dora", "x", 230);
    connect(&service).log_in("dora", "x", 230);
    at(&service, "one.example").log_in("dora", "x", 530);
}

#[test]
fn what_is_served_to_whom_at_each_host_is_told() {
    let service = start(HOSTS);
    let told = service.run(&["serve", "--check", "--config", "port21.toml"]).ok();
    let from = told.lines().position(|line| line.starts_with("host ")).unwrap();
    let lines: Vec<&str> = told.lines().skip(from).take(6).collect();
    for (line, part) in lines.iter().zip(["one.example", "/one,", "ann (read only)", "2.example", "/two,", "anybody"]) {
        assert!(line.contains(part), "{part}: {told}");
    }
    assert!(told.contains("two.toml"));
    let mut text = std::fs::read_to_string(service.path("port21.toml")).unwrap();
    text.push_str("greting = \"x\"\n");
    let line = text.lines().count();
    std::fs::write(service.path("port21.toml"), text).unwrap();
    let error = service.run(&["config", "check", "port21.toml"]).fails(2);
    assert!(error.contains(&format!("port21.toml:{line}: ")) && error.contains("`host.greting`"), "{error}");
}
