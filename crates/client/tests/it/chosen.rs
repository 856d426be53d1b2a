//! What a caller chooses of a session that stands: how many files go over it, by which way, and how their bytes are taken.

use std::sync::{Arc, Mutex};

use port21_client::{Batch, BatchOptions, Buffers, Client, Event, Representation, Retry};
use tokio::io::AsyncReadExt as _;

use crate::memory::{Net, Peer, fetch, give};

/// Plays a script against the calls of one session.
async fn session(script: impl AsyncFnOnce(Peer), calls: impl AsyncFnOnce(&mut Client)) {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "200 ok").await;
        script(peer).await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        client.set_representation(Representation::Image).await.unwrap();
        calls(&mut client).await;
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_over_the_callers_own_session() {
    let script = async |mut peer: Peer| {
        peer.answer("CWD pub", "250 ok").await;
        peer.send("RETR a", b"one").await;
        let data = peer.passive().await;
        // It is tried again where that may help, and others are fetched all the same.
        peer.answer("RETR b", "450 busy").await;
        drop(data);
        peer.send("RETR b", b"two").await;
        let data = peer.passive().await;
        peer.answer("RETR c", "550 no").await;
        drop(data);
        peer.send("RETR d", b"four").await;
        peer.quit().await;
    };
    session(script, async |client| {
        client.cwd("pub").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (watched, shared) = (told.clone(), dir.path().to_owned());
        let watch = move |event: &Event<'_>| {
            if let Event::Ended { item, result, .. } = event {
                watched.lock().unwrap().push((item.remote.clone(), result.as_ref().map(|done| done.bytes).ok()));
            }
        };
        let options = BatchOptions {
            keep_time: false,
            retry: Retry { attempts: 1, ..Retry::default() },
            ..BatchOptions::default()
        };
        let mut batch = Batch::new(client.settings().clone(), options, Arc::new(watch));
        for name in ["a", "b", "c", "d"] {
            batch.get(name, shared.join(name), None);
        }
        batch.run_on(client).await.unwrap();
        let want = [("a", Some(3)), ("b", Some(3)), ("c", None), ("d", Some(4))];
        assert_eq!(*told.lock().unwrap(), want.map(|(name, bytes)| (name.as_bytes().to_vec(), bytes)));
        assert_eq!(std::fs::read(shared.join("d")).unwrap(), b"four");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_with_its_session() {
    let script = async |mut peer: Peer| {
        let data = peer.passive().await;
        peer.hear("RETR a").await;
        drop((peer, data));
    };
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "200 ok").await;
        script(peer).await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = BatchOptions { keep_time: false, retry: Retry::NEVER, ..BatchOptions::default() };
        let mut batch = Batch::new(client.settings().clone(), options, Arc::new(|_: &Event<'_>| {}));
        batch.get("a", dir.path().join("a"), None);
        batch.get("b", dir.path().join("b"), None);
        assert!(batch.run_on(&mut client).await.is_err());
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn epsv_is_left_out_where_that_is_chosen() {
    let script = async |mut peer: Peer| {
        for _ in 0..2 {
            let mut port = peer.port();
            peer.answer("PASV", &format!("227 ok (192,0,2,1,{})", port.tuple())).await;
            let data = port.accept().await;
            peer.answer("RETR f", "150 go").await;
            give(data, b"x").await;
            peer.say("226 done").await;
        }
        peer.send("RETR f", b"x").await;
        peer.quit().await;
    };
    session(script, async |client| {
        client.set_extended(false);
        client.set_buffers(Buffers { send: Some(10_000), receive: Some(10_000) });
        for _ in 0..2 {
            assert_eq!(fetch(client, "f").await, b"x");
        }
        client.set_extended(true);
        assert_eq!(fetch(client, "f").await, b"x");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn texts_keep_their_returns_where_that_is_chosen() {
    let script = async |mut peer: Peer| {
        peer.answer("TYPE A", "200 ok").await;
        peer.send("RETR f", b"a\r\nb\n").await;
        peer.send("RETR f", b"a\r\nb\n").await;
        let data = peer.passive().await;
        peer.answer("MLSD d", "150 go").await;
        give(data, b"type=cdir; .\r\ntype=file; x\r\n").await;
        peer.say("226 done").await;
        peer.quit().await;
    };
    session(script, async |client| {
        client.set_representation(Representation::Ascii).await.unwrap();
        client.set_keeps_returns(true);
        let mut stream = client.download("f", 0).await.unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        stream.finish().await.unwrap();
        assert_eq!(text, b"a\r\nb\n");
        client.set_keeps_returns(false);
        assert_eq!(fetch(client, "f").await, b"a\nb\n");
        let mut lines = client.mlsd("d").await.unwrap();
        let mut came = Vec::new();
        while let Some(line) = lines.next().await {
            came.push(line.unwrap());
        }
        assert_eq!(came, [b"type=cdir; .".to_vec(), b"type=file; x".to_vec()]);
    })
    .await;
}
