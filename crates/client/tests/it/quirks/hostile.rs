//! Servers that mean harm: they get nothing, and hang nothing.

use std::time::Duration;

use port21_client::{Batch, BatchOptions, Client, Error, Event, GetOptions, Phase, Upload, Watch};
use tokio::io::AsyncWriteExt;

use crate::memory::{Net, Peer, give};

/// What comes of it where the server does what the script says instead of answering NOOP.
async fn after_noop(script: impl AsyncFnOnce(&mut Peer)) -> (Error, Client, Net) {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.hear("NOOP").await;
        script(&mut peer).await;
        peer
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let error = client.noop().await.unwrap_err();
        (error, client)
    };
    let (_peer, (error, client)) = tokio::join!(serve, play);
    (error, client, net)
}

/// Sends it again and again, until nobody listens.
async fn flood(peer: &mut Peer, bytes: &[u8]) {
    while peer.try_raw(bytes).await.is_ok() {}
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_end() {
    let endless: [&[u8]; 8] = [
        b"200-and on\r\n",
        b"200-x\r\n y\r\n",
        b"100 soon\r\n",
        b"no code\r\n",
        b"a line",
        b"\r\n",
        b"\xff\xf1\xff\xf1",
        b"\xff\xfa\x01xx",
    ];
    for bytes in endless {
        let bytes = bytes.repeat(64);
        let (error, client, _net) = after_noop(async |peer: &mut Peer| flood(peer, &bytes).await).await;
        let shown = String::from_utf8_lossy(&bytes);
        assert!(matches!(error, Error::TooMuch { phase: Phase::Command, .. }), "{shown}: {error}");
        assert!(!error.is_passing() && !client.is_connected(), "{shown}");
    }
}

/// It is asked for in one session, and not in another.
#[tokio::test(start_paused = true)]
async fn a_reply_without_end_is_not_asked_for_again() {
    let mut net = Net::new();
    let here = tempfile::tempdir().unwrap();
    let watch = std::sync::Arc::new(Told::default());
    let mut batch = Batch::new(net.client(), BatchOptions::default(), watch.clone());
    batch.get("x", here.path().join("x"), None);
    let serve = async {
        let mut peer = net.login().await;
        while let Some(line) = peer.maybe_line().await {
            match line.split(' ').next() {
                Some("TYPE") => peer.say("200 ok").await,
                _ => flood(&mut peer, b"550-no\r\n").await,
            }
        }
        net
    };
    let (_net, done) = tokio::join!(serve, batch.run());
    done.unwrap();
    let told = watch.0.lock().unwrap();
    assert!(matches!(&told[..], [line] if line.contains("a reply that does not end")), "{told:?}");
}

/// How files ended, and what was tried again.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<String>>);

impl Watch for Told {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Ended { result: Err(error), .. } => error.to_string(),
            Event::Again { error, .. } => format!("again: {error}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

/// A line without end is cut: what it holds behind its head is never taken for a reply.
#[tokio::test(start_paused = true)]
async fn a_line_without_end() {
    let script = async |peer: &mut Peer| {
        peer.raw(&[b'x'; 1_000_000]).await;
        peer.say("\r\n500 no").await;
    };
    let (error, client, net) = after_noop(script).await;
    assert_eq!(error.reply().unwrap().code(), 500, "{error}");
    assert!(client.is_connected());
    assert!(net.log.has("its end is thrown away"), "{:?}", net.log.story());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_more() {
    let (error, client, _net) = after_noop(async |_| {}).await;
    assert!(matches!(error, Error::Timeout { phase: Phase::Command, .. }), "{error}");
    assert!(!client.is_connected());
    // A byte a minute is not an answer.
    let script = async |peer: &mut Peer| {
        while peer.try_raw(b"2").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
    };
    let (error, ..) = after_noop(script).await;
    assert!(matches!(error, Error::Timeout { phase: Phase::Command, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_end() {
    let mut net = Net::new();
    let builder = net.client().max_listing(1_000_000);
    let serve = async {
        let mut peer = net.login().await;
        for bytes in [&b"name\r\n"[..], b"one name without end"] {
            let mut data = peer.passive().await;
            peer.answer("NLST", "150 go").await;
            while data.write_all(bytes).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            peer.answer("ABOR", "426 stopped\r\n226 ok").await;
        }
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        for _ in 0..2 {
            let mut lines = client.nlst("").await.unwrap();
            let error = loop {
                match lines.next().await.unwrap() {
                    Ok(line) => assert_eq!(line, b"name"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, Error::TooMuch { phase: Phase::Transfer, .. }), "{error}");
            assert!(lines.next().await.is_none());
        }
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

/// Not a byte of it is sent.
#[tokio::test(start_paused = true)]
async fn names_that_would_be_two_commands() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let peer = net.login().await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        for name in ["a\r\nDELE b", "a\nb", "a\rb", "a\0b", "\r\n"] {
            let all = [
                client.cwd(name).await.map(drop),
                client.mkdir(name).await.map(drop),
                client.make_directories(name).await.map(drop),
                client.rmdir(name).await.map(drop),
                client.remove(name).await.map(drop),
                client.rename("a", name).await.map(drop),
                client.rename(name, "a").await.map(drop),
                client.size(name).await.map(drop),
                client.mtime(name).await.map(drop),
                client.chmod(name, 0o644).await.map(drop),
                client.stat(name).await.map(drop),
                client.list(name).await.map(drop),
                client.nlst(name).await.map(drop),
                client.list_lines(name, Default::default()).await.map(drop),
                client.download(name, 0).await.map(drop),
                client.upload(name, Upload::Whole).await.map(drop),
                client.quote(format!("SITE {name}")).await.map(drop),
                client.user(name).await.map(drop),
                client.password(&port21_client::Secret::new(name)).await.map(drop),
                client.account(&port21_client::Secret::new(name)).await.map(drop),
            ];
            for (n, result) in all.into_iter().enumerate() {
                assert!(matches!(result, Err(Error::Name(_))), "{n} {name:?}: {result:?}");
            }
        }
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

/// Escape sequences are shown, not obeyed.
#[tokio::test(start_paused = true)]
async fn replies_that_would_paint_the_terminal() {
    let painted = "550 \u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}gnp.exe\u{8}\u{9b}31m";
    let (error, client, _net) = after_noop(async |peer| peer.say(painted).await).await;
    for shown in [error.to_string(), format!("{error:?}"), format!("{:?}", client.greeting())] {
        let bad = shown.chars().find(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(bad, None, "{shown:?}");
    }
}

/// The names in a listing are bytes of the server's choosing: they come as they are, and show what they are.
#[tokio::test(start_paused = true)]
async fn names_that_would_paint_the_terminal() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        let data = peer.passive().await;
        peer.answer("NLST", "150 go").await;
        give(data, b"\x1b[2Jname\x07\xff\r\n").await;
        peer.say("226 done").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let mut lines = client.nlst("").await.unwrap();
        let line = lines.next().await.unwrap().unwrap();
        assert_eq!(line, b"\x1b[2Jname\x07\xff");
        assert!(!port21_proto::text::Shown(&line).to_string().contains(char::is_control));
        assert!(lines.next().await.is_none());
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

/// The size is announced behind 150, or told by nobody until more has come: nothing is kept of it.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_larger_than_it_may_be() {
    let here = tempfile::tempdir().unwrap();
    for announced in ["150 go (9000 bytes).", "150 go"] {
        let mut net = Net::new();
        let builder = net.client();
        let serve = async {
            let mut peer = net.login().await;
            peer.answer("TYPE I", "200 ok").await;
            peer.answer("SIZE f", "550 no").await;
            let mut data = peer.passive().await;
            peer.answer("RETR f", announced).await;
            // Who has had enough closes it.
            let _ = data.write_all(&[b'x'; 9000]).await;
            peer
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            let options = GetOptions { max_size: Some(5000), ..GetOptions::default() };
            let to = here.path().join("f");
            client.get_file("f", &to, &options, &mut |_| {}).await
        };
        let (_peer, got) = tokio::join!(serve, play);
        assert!(matches!(got, Err(Error::TooLarge { limit: 5000 })), "{got:?}");
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
    }
}
