//! Servers that lose commands which are sent before those ahead of them are answered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use port21_client::{
    Batch, BatchOptions, Builder, Credentials, Error, Event, GetOptions, Mirror, MirrorOptions, Pool, Retry,
};
use tokio::io::AsyncWriteExt;

use crate::memory::{Net, Peer, Port, give};

/// What a server does with several commands that come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// What it should.
    InOrder,
    /// Reads a segment's first line, and throws the rest away.
    DropsTheRest,
    /// Takes a segment for one line, which is no command.
    TakesThemForOne,
    Closes,
    /// Throws away what has come behind TYPE.
    FlushesBehindType,
    /// Does all of them, and answers the last.
    AnswersTheLast,
    /// Does all of them, and answers the first.
    AnswersTheFirst,
    /// Knows nothing any more of what was said before, when it takes the second.
    Forgets,
    /// Looks at its input while it sends a file: EPSV ends the transfer (pyftpdlib).
    EndsTransfers,
    /// As above, but EPSV is refused before the transfer's end (proftpd).
    RefusesBeforeTheEnd,
    /// Throws away what has come behind RETR.
    FlushesBehindTransfers,
    /// Does several DELE, RMD or MKD side by side, and answers what was sent last first (libunftp answers in any order).
    AnswersInReverse,
}

const ALL: [Manner; 10] = [
    Manner::DropsTheRest,
    Manner::TakesThemForOne,
    Manner::Closes,
    Manner::FlushesBehindType,
    Manner::AnswersTheLast,
    Manner::AnswersTheFirst,
    Manner::Forgets,
    Manner::EndsTransfers,
    Manner::RefusesBeforeTheEnd,
    Manner::FlushesBehindTransfers,
];

/// What came in one segment each, session by session.
type Seen = Arc<Mutex<Vec<Vec<Vec<String>>>>>;

/// What is at the server, as LIST shows it: directories end with a slash.
type Tree = BTreeSet<String>;

/// Serves one session after the other.
async fn serve(net: &mut Net, manner: Manner, seen: &Seen, tree: &mut Tree) {
    loop {
        let mut peer = net.accept().await;
        seen.lock().unwrap().push(Vec::new());
        peer.say("220 hi").await;
        session(&mut peer, manner, seen, tree).await;
    }
}

/// The listing of a directory.
fn listing(tree: &Tree, directory: &str) -> Vec<u8> {
    let below = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let mut lines = String::new();
    for name in tree.iter().filter_map(|path| path.strip_prefix(&below)) {
        let (kind, name) = name.strip_suffix('/').map_or(('-', name), |name| ('d', name));
        if !name.is_empty() && !name.contains('/') {
            lines += &format!("{kind}rwxr-xr-x 1 u g 1 Jan 1 2001 {name}\r\n");
        }
    }
    lines.into_bytes()
}

fn changed(done: bool) -> String {
    if done { "250 done".to_owned() } else { "550 no".to_owned() }
}

fn content(name: &str) -> Vec<u8> {
    format!("this is {name}, and nothing else").into_bytes()
}

async fn session(peer: &mut Peer, manner: Manner, seen: &Seen, tree: &mut Tree) {
    let mut port: Option<Port> = None;
    while let Some(mut lines) = peer.segment().await {
        seen.lock().unwrap().last_mut().unwrap().push(lines.clone());
        let together = lines.len() > 1;
        match manner {
            Manner::DropsTheRest => lines.truncate(1),
            Manner::TakesThemForOne if together => {
                peer.say("500 what?").await;
                continue;
            }
            Manner::Closes if together => return,
            Manner::FlushesBehindType => {
                let end = lines.iter().position(|line| line.starts_with("TYPE")).map_or(lines.len(), |at| at + 1);
                lines.truncate(end);
            }
            _ => {}
        }
        let mut replies: Vec<String> = Vec::new();
        let mut rest = lines.iter().map(String::as_str).peekable();
        while let Some(line) = rest.next() {
            let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
            let reply = match verb {
                _ if manner == Manner::Forgets && !replies.is_empty() => "503 what was before?".to_owned(),
                "USER" => "331 password?".to_owned(),
                "PASS" => "230 in".to_owned(),
                "TYPE" => "200 ok".to_owned(),
                "SIZE" | "MDTM" if argument.starts_with("old") && !tree.contains(argument) => "550 no".to_owned(),
                "SIZE" => format!("213 {}", content(argument).len()),
                "MDTM" => "213 20000102030405".to_owned(),
                "RNFR" => "350 and?".to_owned(),
                "EPSV" => format!("229 ok (|||{}|)", port.insert(peer.port()).number),
                "DELE" | "MKD" if argument.ends_with("-kept") => "550 no".to_owned(),
                "DELE" => changed(tree.remove(argument)),
                "RMD" => changed(tree.remove(&format!("{argument}/"))),
                "MKD" => changed(tree.insert(format!("{argument}/"))),
                "PWD" => "257 \"/\"".to_owned(),
                "CWD" => changed(argument == "/" || tree.contains(&format!("{argument}/"))),
                "MLST" => "500 what?".to_owned(),
                "LIST" => {
                    let data = port.take().unwrap().accept().await;
                    peer.say("150 go").await;
                    give(data, &listing(tree, argument)).await;
                    "226 done".to_owned()
                }
                "RETR" => {
                    let mut data = port.take().unwrap().accept().await;
                    peer.say("150 go").await;
                    let bytes = content(argument);
                    let disturbed = rest.peek() == Some(&"EPSV");
                    if disturbed && manner == Manner::EndsTransfers {
                        data.write_all(&bytes[..9]).await.unwrap();
                        continue;
                    }
                    give(data, &bytes).await;
                    if disturbed && manner == Manner::RefusesBeforeTheEnd {
                        replies.push("450 a transfer is in progress".to_owned());
                        rest.next();
                    }
                    if manner == Manner::FlushesBehindTransfers {
                        while rest.next().is_some() {}
                    }
                    "226 done".to_owned()
                }
                "QUIT" => {
                    peer.say("221 bye").await;
                    return;
                }
                _ => "250 done".to_owned(),
            };
            replies.push(reply);
        }
        // The way is long enough for several commands at once to be worth it.
        tokio::time::sleep(Duration::from_millis(12)).await;
        match manner {
            Manner::AnswersTheLast => drop(replies.drain(..replies.len() - 1)),
            Manner::AnswersTheFirst => replies.truncate(1),
            Manner::AnswersInReverse
                if lines.iter().all(|line| ["DELE ", "RMD ", "MKD "].iter().any(|verb| line.starts_with(verb))) =>
            {
                replies.reverse();
            }
            _ => {}
        }
        // All of them in one segment.
        if !replies.is_empty() && peer.try_raw(format!("{}\r\n", replies.join("\r\n")).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Whether any segment of the session had several commands.
fn several(session: &[Vec<String>]) -> bool {
    session.iter().any(|lines| lines.len() > 1)
}

fn user(net: &Net) -> Builder {
    net.client().credentials(Credentials::new("ann", "secret"))
}

/// What the client does, against a server of this manner; what the server has seen.
async fn play(manner: Manner, client: impl AsyncFnOnce(Builder)) -> Vec<Vec<Vec<String>>> {
    play_with(manner, &mut Tree::new(), client).await
}

async fn play_with(manner: Manner, tree: &mut Tree, client: impl AsyncFnOnce(Builder)) -> Vec<Vec<Vec<String>>> {
    let mut net = Net::new();
    let (builder, seen) = (user(&net), Seen::default());
    tokio::select! {
        () = serve(&mut net, manner, &seen, tree) => {}
        () = client(builder) => {}
    }
    seen.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn files_are_whole_whatever_becomes_of_what_is_sent_ahead() {
    for manner in ALL.into_iter().chain([Manner::InOrder]) {
        let here = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..6).map(|n| format!("f{n}")).collect();
        let failures = Arc::new(Mutex::new(Vec::new()));
        let told = failures.clone();
        let watch = move |event: &Event<'_>| match event {
            Event::Ended { item, result: Err(error), .. } => {
                told.lock().unwrap().push(format!("{}: {error}", item.local.display()));
            }
            Event::Again { error, .. } => told.lock().unwrap().push(format!("again: {error}")),
            _ => {}
        };
        let seen = play(manner, async |builder| {
            let options = BatchOptions { retry: Retry::NEVER, ..BatchOptions::default() };
            let mut batch = Batch::new(builder, options, Arc::new(watch));
            for name in &names {
                batch.get(name.as_str(), here.path().join(name), Some(content(name).len() as u64));
            }
            batch.run().await.unwrap();
        })
        .await;
        assert_eq!(*failures.lock().unwrap(), Vec::<String>::new(), "{manner:?}");
        for name in &names {
            assert_eq!(std::fs::read(here.path().join(name)).unwrap(), content(name), "{manner:?}");
        }
        if manner == Manner::InOrder {
            assert!(seen.len() == 1 && several(&seen[0]), "{seen:?}");
            continue;
        }
        // It is found out once, and then one command is sent at a time.
        assert!(seen.len() <= 2, "{manner:?}: {seen:?}");
        let last = seen.last().unwrap();
        let at = last.iter().rposition(|lines| lines.len() > 1).map_or(0, |at| at + 1);
        assert!(if seen.len() == 2 { at == 0 } else { at < 9 }, "{manner:?}: {last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_done_again_where_they_have_to_be() {
    for manner in ALL.into_iter().chain([Manner::InOrder]) {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("f");
        // What is to be gone on with, and is none of this file's.
        std::fs::write(here.path().join("f.port21-part"), "another").unwrap();
        play(manner, async |builder| {
            let mut client = builder.open().await.unwrap();
            assert_eq!(client.size("f").await.unwrap(), 27, "{manner:?}");
            client.rename("a", "b").await.unwrap();
            let options = GetOptions { resume: true, keep_time: true, ..GetOptions::default() };
            client.get_file("f", &path, &options, &mut |_| {}).await.unwrap();
            client.quit().await.unwrap();
        })
        .await;
        assert_eq!(std::fs::read(&path).unwrap(), content("f"), "{manner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn directories_are_made_and_files_removed_though_commands_are_lost() {
    for manner in ALL.into_iter().chain([Manner::InOrder]) {
        let here = tempfile::tempdir().unwrap();
        let mut tree: Tree = (0..9).map(|n| format!("old{n}")).chain(["old/".to_owned()]).collect();
        for n in 0..9 {
            std::fs::create_dir(here.path().join(format!("new{n}"))).unwrap();
        }
        let seen = play_with(manner, &mut tree, async |builder| {
            let batch = BatchOptions { retry: Retry::NEVER, ..BatchOptions::default() };
            let options = MirrorOptions { delete: true, ..MirrorOptions::default() };
            let mirror = Mirror::new(builder, batch, options, Arc::new(|_: &Event<'_>| {}));
            let done = mirror.up(here.path(), b"").await.unwrap();
            assert_eq!((done.failed, done.removed), (0, 10), "{manner:?}: {done:?}");
        })
        .await;
        let wanted: Tree = (0..9).map(|n| format!("new{n}/")).collect();
        assert_eq!(tree, wanted, "{manner:?}: {seen:?}");
        let together = |verb: &str| {
            let all = |lines: &&Vec<String>| lines.len() > 1 && lines.iter().all(|line| line.starts_with(verb));
            seen.iter().flatten().filter(all).count()
        };
        let limit = if manner == Manner::InOrder { 1..=5 } else { 0..=5 };
        assert!(limit.contains(&together("DELE ")) && limit.contains(&together("MKD ")), "{manner:?}: {seen:?}");
    }
}

/// Whoever answers in which order: a refusal is told of the file that was refused, and of no other.
#[tokio::test(start_paused = true)]
async fn refusals_are_told_of_what_was_refused() {
    for manner in [Manner::InOrder, Manner::AnswersInReverse] {
        let here = tempfile::tempdir().unwrap();
        let mut tree: Tree = (0..9).map(|n| format!("old{n}")).chain(["old1-kept".to_owned()]).collect();
        for n in 0..8 {
            std::fs::create_dir(here.path().join(format!("new{n}"))).unwrap();
        }
        std::fs::create_dir(here.path().join("new2-kept")).unwrap();
        let failed = Arc::new(Mutex::new(Vec::new()));
        let told = failed.clone();
        let watch = move |event: &Event<'_>| {
            if let Event::Failed(place, _) = event {
                told.lock().unwrap().push(place.to_string());
            }
        };
        let seen = play_with(manner, &mut tree, async |builder| {
            let batch = BatchOptions { retry: Retry::NEVER, ..BatchOptions::default() };
            let options = MirrorOptions { delete: true, ..MirrorOptions::default() };
            let done = Mirror::new(builder, batch, options, Arc::new(watch)).up(here.path(), b"").await.unwrap();
            assert_eq!((done.failed, done.removed, done.directories), (2, 9, 9), "{manner:?}: {done:?}");
        })
        .await;
        assert_eq!(*failed.lock().unwrap(), ["new2-kept", "old1-kept"], "{manner:?}");
        let wanted: Tree = (0..8).map(|n| format!("new{n}/")).chain(["old1-kept".to_owned()]).collect();
        assert_eq!(tree, wanted, "{manner:?}: {seen:?}");
        assert!(
            seen.iter().flatten().any(|lines| lines.len() > 1 && lines[0].starts_with("MKD")),
            "{manner:?}: {seen:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_goes_ahead_only_where_it_was_asked_for() {
    for manner in ALL.into_iter().chain([Manner::InOrder]) {
        let seen = play(manner, async |builder| {
            let pool = Pool::new(builder, 1);
            for _ in 0..2 {
                // What is sent by hand makes a session one of its own.
                let mut session = pool.get().await.unwrap();
                session.quote("NOOP").await.unwrap();
                assert!(session.is_logged_in());
            }
        })
        .await;
        let login = |session: &Vec<Vec<String>>| session.iter().map(|lines| lines.join(", ")).collect::<Vec<_>>();
        assert_eq!(login(&seen[0]), ["USER ann", "PASS secret", "NOOP"], "{manner:?}");
        assert_eq!(login(&seen[1])[0], "USER ann, PASS secret, TYPE I", "{manner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_password_goes_ahead_of_a_server_that_did_not_want_it() {
    let mut net = Net::new();
    let pool = Pool::new(user(&net), 1);
    let serve = async {
        for _ in 0..2 {
            let mut peer = net.accept().await;
            peer.say("220 hi").await;
            assert_eq!(peer.segment().await.unwrap(), ["USER ann"]);
            peer.say("230 in").await;
            peer.answer("NOOP", "200 ok").await;
            peer.ended().await;
        }
    };
    let play = async {
        for _ in 0..2 {
            pool.get().await.unwrap().quote("NOOP").await.unwrap();
        }
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn who_wants_it_sends_one_at_a_time() {
    let seen = play(Manner::InOrder, async |builder| {
        let mut client = builder.send_ahead(false).open().await.unwrap();
        assert_eq!(client.size("f").await.unwrap(), 27);
        client.rename("a", "b").await.unwrap();
        assert_eq!(crate::memory::fetch(&mut client, "f").await, content("f"));
        assert!(matches!(client.cwd("\r\n").await, Err(Error::Name(_))));
        client.quit().await.unwrap();
    })
    .await;
    assert!(seen.len() == 1 && !several(&seen[0]), "{seen:?}");
}
