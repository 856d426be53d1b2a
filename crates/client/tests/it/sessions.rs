//! The driver against servers that do what a test says: connections, their ends, and what is drawn of them.

use std::time::Duration;

use port21_client::{Blame, Client, DataMode, Error, Phase, Representation, Timeouts, Upload};
use port21_proto::event::EventKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::common::{Log, Server, close};

/// Ports that are free now.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|l| l.local_addr().unwrap().port()).collect()
}

#[tokio::test]
async fn the_reference_session() {
    let server = Server::start().await;
    let ports = free_ports(3);
    let (control, active) = (ports[0], vec![ports[1], ports[2]]);
    let wanted = active.clone();
    let addr = server.addr;
    let log = Log::default();
    let builder = log.attach(server.client()).mode(DataMode::Active).representation(Representation::Ascii);
    let builder = builder.bind_ip(addr.ip()).control_port(control).active_ports(active);

    let serve = async {
        let mut peer = server.accept().await;
        peer.say("220 ANY-DOMAIN.COM FTP Service").await;
        peer.answer("USER ftp", "331 send identity (e-mail name) as password.").await;
        peer.answer("PASS me@example.org", "230-Welcome\r\n230 Anonymous user logged in.").await;
        for (command, bytes) in
            [("LIST", &b"drwxr-xr-x 1 ftp ftp 0 Apr 30 09:05 pub\r\n"[..]), ("RETR readme.txt", b"a\r\n")]
        {
            if command != "LIST" {
                peer.answer("CWD pub", "250 CWD command successful.").await;
            }
            let to = peer.port().await;
            assert_eq!(to.port(), wanted[usize::from(command != "LIST")]);
            peer.answer(command, "150 Opening ASCII mode data connection").await;
            let mut data = TcpStream::connect(to).await.unwrap();
            data.write_all(bytes).await.unwrap();
            close(data).await;
            peer.say("226 Transfer complete.").await;
        }
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.connect().await.unwrap();
        assert_eq!((client.local_addr().port(), client.greeting().code().number()), (control, 220));
        client.user("ftp").await.unwrap();
        client.password(&port21_client::Secret::new("me@example.org")).await.unwrap();
        let mut lines = client.list_lines("", Default::default()).await.unwrap();
        assert!(lines.next().await.unwrap().unwrap().ends_with(b" pub"));
        assert!(lines.next().await.is_none());
        client.cwd("pub").await.unwrap();
        assert!(client.set_representation(Representation::Ascii).await.unwrap().is_none());
        let mut text = String::new();
        let mut stream = client.download("readme.txt", 0).await.unwrap();
        stream.read_to_string(&mut text).await.unwrap();
        stream.finish().await.unwrap();
        assert_eq!(text, "a\n");
        assert_eq!(client.quit().await.unwrap().unwrap().code(), 221);
    };
    tokio::join!(serve, play);

    let port = |n: usize| format!("PORT 127,0,0,1,{},{}", wanted[n] >> 8, wanted[n] & 255);
    let mut story = vec!["opening 0 Control by Client", "opened 0 Control by Client", "220", "USER ftp", "331"];
    story.extend(["PASS ***", "230"]);
    let (list, get) = (port(0), port(1));
    story.extend([&list, "200", "LIST", "150", "opening 1 Data by Server", "opened 1 Data by Server"]);
    story.extend(["data 1 from Server 41", "closed 1 by Server Fin", "closed 1 by Client Fin", "226"]);
    story.extend(["CWD pub", "250"]);
    story.extend([&get, "200", "RETR readme.txt", "150", "opening 2 Data by Server", "opened 2 Data by Server"]);
    story.extend(["data 2 from Server 3", "closed 2 by Server Fin", "closed 2 by Client Fin", "226"]);
    story.extend(["QUIT", "221", "closed 0 by Server Fin", "closed 0 by Client Fin"]);
    assert_eq!(log.story(), story);
}

#[tokio::test]
async fn the_final_reply_may_come_before_the_end_of_the_data() {
    let server = Server::start().await;
    let (seen, told) = tokio::sync::oneshot::channel();
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        let mut data = peer.passive().await;
        peer.answer("RETR f", "150 go\r\n226 done").await;
        told.await.unwrap();
        data.write_all(b"late").await.unwrap();
        close(data).await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let mut stream = client.download("f", 0).await.unwrap();
        seen.send(()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"late");
        stream.finish().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn an_empty_file_may_be_over_before_it_is_announced() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        let data = peer.passive().await;
        peer.hear("RETR f").await;
        close(data).await;
        peer.say("150 go\r\n226 done").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let mut stream = client.download("f", 0).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert!(bytes.is_empty());
        stream.finish().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_server_without_1yz_and_with_a_foreign_address() {
    let server = Server::start().await;
    let log = Log::default();
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        // With TYPE, and once more alone.
        peer.answer("EPSV", "500 what?").await;
        peer.answer("EPSV", "500 what?").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        peer.answer("PASV", &format!("227 ok 192,0,2,7,{},{}", port >> 8, port & 255)).await;
        let (mut data, _) = listener.accept().await.unwrap();
        peer.hear("RETR f").await;
        data.write_all(b"x").await.unwrap();
        close(data).await;
        peer.say("250 done").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = log.attach(server.client()).open().await.unwrap();
        client.download("f", 0).await.unwrap().finish().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
    assert!(log.has("note the server names 192.0.2.7"));
    assert!(log.has("data 1 from Server 1"));
}

#[tokio::test]
async fn only_the_server_may_open_the_data_connection() {
    let server = Server::start().await;
    let log = Log::default();
    let serve = async {
        let mut peer = server.login().await;
        let to = peer.port().await;
        peer.hear("LIST").await;
        let stranger = TcpSocket::new_v4().unwrap();
        stranger.bind("127.0.0.9:0".parse().unwrap()).unwrap();
        let mut stranger = stranger.connect(to).await.unwrap();
        peer.say("150 go").await;
        // It is cut off, and nothing that it sends is taken.
        let _ = stranger.write_all(b"forged\r\n").await;
        let _ = stranger.read(&mut [0; 9]).await;
        let mut data = TcpStream::connect(to).await.unwrap();
        data.write_all(b"real\r\n").await.unwrap();
        close(data).await;
        peer.say("226 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = log.attach(server.client()).mode(DataMode::Active).open().await.unwrap();
        let mut lines = client.list_lines("", Default::default()).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"real");
        assert!(lines.next().await.is_none());
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
    assert!(log.has("is not the server"));
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_reset_and_aborted() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        let mut data = peer.passive().await;
        peer.answer("STOR f", "150 go").await;
        // Telnet IP and Synch stand before the command, the Synch's DM as urgent data.
        assert_eq!(peer.line().await, b"\xff\xf4\xff\xf2ABOR");
        peer.say("426 stopped").await;
        peer.say("226 ABOR done").await;
        let mut rest = Vec::new();
        let error = data.read_to_end(&mut rest).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        peer.answer("NOOP", "200 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let mut stream = client.upload("f", Upload::Whole).await.unwrap();
        stream.write_all(b"half").await.unwrap();
        drop(stream);
        client.noop().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_refusal_in_the_midst_of_an_upload_is_seen() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("TYPE I", "200 ok").await;
        let data = peer.passive().await;
        peer.answer("STOR f", "150 go").await;
        // The data is never read: only the control connection tells.
        peer.say("452 disk full").await;
        peer.answer("NOOP", "200 ok").await;
        drop(data);
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        let mut stream = client.upload("f", Upload::Whole).await.unwrap();
        let block = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = stream.write_all(&block).await {
                break error.downcast::<Error>().unwrap();
            }
        };
        assert_eq!((error.phase(), error.blame()), (Some(Phase::Transfer), Blame::Peer));
        assert_eq!(error.reply().unwrap().code(), 452);
        drop(stream);
        client.noop().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_transfer_that_stalls_fails() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        let mut data = peer.passive().await;
        peer.answer("LIST", "150 go").await;
        data.write_all(b"one\r\n").await.unwrap();
        assert_eq!(peer.line().await, b"\xff\xf4\xff\xf2ABOR");
        drop(data);
        peer.say("426 stopped").await;
        peer.say("226 ABOR done").await;
        peer.quit().await;
    };
    let play = async {
        let stall = Duration::from_millis(50);
        let builder = server.client().timeouts(Timeouts { stall, ..Timeouts::default() });
        let mut client = builder.open().await.unwrap();
        let mut lines = client.list_lines("", Default::default()).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one");
        let error = lines.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Timeout { phase: Phase::Transfer, after, .. } if after == stall), "{error}");
        assert!(lines.next().await.is_none());
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_call_that_was_dropped_does_not_leave_its_reply_to_the_next() {
    let server = Server::start().await;
    let (heard, wait) = tokio::sync::oneshot::channel();
    let (dropped, go) = tokio::sync::oneshot::channel();
    let serve = async {
        let mut peer = server.login().await;
        peer.hear("CWD a").await;
        heard.send(()).unwrap();
        go.await.unwrap();
        peer.say("250 in a").await;
        // First the client asks for itself where it is now.
        peer.answer("PWD", "257 \"/a\"").await;
        peer.answer("PWD", "257 \"/a\"").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        tokio::select! {
            _ = client.cwd("a") => panic!("answered too early"),
            heard = wait => heard.unwrap(),
        }
        dropped.send(()).unwrap();
        assert_eq!(client.pwd().await.unwrap(), b"/a");
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_session_that_cannot_be_brought_in_order_is_begun_anew() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("CWD /pub", "250 ok").await;
        peer.answer("CWD sub", "250 ok").await;
        peer.answer("cwd deep", "250 ok").await;
        peer.answer("CWD none", "550 no").await;
        let mut data = peer.passive().await;
        peer.answer("LIST", "150 go").await;
        data.write_all(b"one\r\n").await.unwrap();
        assert_eq!(peer.line().await, b"\xff\xf4\xff\xf2ABOR");
        // No answer to that: the client comes anew, and goes where it was.
        let mut again = server.login().await;
        again.answer("CWD /pub", "250 ok").await;
        again.answer("CWD sub", "250 ok").await;
        again.answer("CWD deep", "250 ok").await;
        again.answer("NOOP", "200 ok").await;
        again.quit().await;
    };
    let play = async {
        let abort = Duration::from_millis(50);
        let builder = server.client().timeouts(Timeouts { abort, ..Timeouts::default() });
        let mut client = builder.open().await.unwrap();
        client.cwd("/pub").await.unwrap();
        client.cwd("sub").await.unwrap();
        client.quote("cwd deep").await.unwrap();
        client.quote("CWD none").await.unwrap();
        let mut lines = client.list_lines("", Default::default()).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one");
        drop(lines);
        client.noop().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

/// Else files would be written where nobody meant them to be.
#[tokio::test]
async fn a_session_whose_user_was_changed_by_hand_is_not_begun_anew_as_another() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("USER bob", "230 in").await;
        server.login().await
    };
    let play = async {
        let mut client = server.client().open().await.unwrap();
        client.quote("USER bob").await.unwrap();
        let error = client.reconnect().await.unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
        assert!(!client.is_connected());
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_server_that_ends_the_session_is_quoted() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        peer.say("421 idle for too long").await;
    };
    let builder = server.client();
    let (_, client) = tokio::join!(serve, builder.open());
    let mut client = client.unwrap();
    let error = client.noop().await.unwrap_err();
    assert!(matches!(error, Error::ServiceClosing { .. } | Error::Closed { .. }), "{error}");
    assert!(!client.is_connected());
    assert!(client.noop().await.is_err());
}

#[tokio::test]
async fn a_farewell_that_does_not_come_is_not_waited_for_for_ever() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        peer.hear("QUIT").await;
        peer.ended().await;
        let mut peer = server.login().await;
        peer.hear("QUIT").await;
    };
    let play = async {
        let quit = Duration::from_millis(50);
        let builder = server.client().timeouts(Timeouts { quit, ..Timeouts::default() });
        let error = builder.open().await.unwrap().quit().await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert_eq!(server.client().open().await.unwrap().quit().await.unwrap(), None);
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_passive_port_that_refuses_is_told_and_asked_for_another_way() {
    let server = Server::start().await;
    let log = Log::default();
    let serve = async {
        let mut peer = server.login().await;
        let closed = free_ports(1)[0];
        peer.answer("EPSV", &format!("229 ok (|||{closed}|)")).await;
        peer.answer("PASV", &format!("227 ok (127,0,0,1,{},{})", closed >> 8, closed & 255)).await;
        peer.quit().await;
    };
    let play = async {
        let mut client = log.attach(server.client()).open().await.unwrap();
        let error = client.nlst("").await.unwrap_err();
        assert_eq!(error.phase(), Some(Phase::DataOpen), "{error}");
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
    assert!(log.has("open failed 1: refused") && log.has("open failed 2: refused"));
}

#[tokio::test]
async fn phases_of_a_beginning_that_fails() {
    let closed = free_ports(1)[0];
    let log = Log::default();
    let error = log.attach(Client::builder().host("127.0.0.1").port(closed)).connect().await.unwrap_err();
    assert_eq!((error.phase(), error.blame()), (Some(Phase::Connect), Blame::Transport), "{error}");
    assert!(log.has("open failed 0: refused"));
    assert!(matches!(log.kinds().first(), Some(EventKind::Opening(c)) if c.server.is_some()));

    let server = Server::start().await;
    let greeting = Duration::from_millis(50);
    let silent = server.client().timeouts(Timeouts { greeting, ..Timeouts::default() });
    let error = silent.connect().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: Phase::Greeting, .. }), "{error}");

    let serve = async {
        let _silent = server.accept().await;
        let mut peer = server.accept().await;
        peer.say("220 hi").await;
        peer.answer("USER anonymous", "331 password").await;
        peer.answer("PASS anonymous@", "530 no").await;
        peer.ended().await;
    };
    let play = async {
        let error = server.client().open().await.unwrap_err();
        assert_eq!((error.phase(), error.reply().unwrap().code().number()), (Some(Phase::Login), 530));
        assert!(!format!("{error} {error:?}").contains("anonymous@"));
    };
    tokio::join!(serve, play);
    assert!(matches!(Client::builder().connect().await, Err(Error::Usage(_))));
}
