//! Every phase has an end, whoever says nothing more, and tells which it was.

use std::time::Duration;

use port21_client::{Blame, Builder, Error, Phase, Timeouts, TlsMode, TlsSettings, Upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::memory::{Net, Peer};

/// A length for each, none like another.
fn timeouts() -> Timeouts {
    let secs = Duration::from_secs;
    Timeouts {
        resolve: secs(11),
        connect: secs(12),
        tls: secs(13),
        greeting: secs(14),
        reply: secs(15),
        data_open: secs(16),
        stall: secs(17),
        final_reply: secs(18),
        abort: secs(5),
        quit: secs(6),
    }
}

/// What has come of it, and after how long, where the server does what the script says and then nothing for ever.
async fn silence(
    script: impl AsyncFnOnce(&mut Net) -> Peer,
    play: impl AsyncFnOnce(Builder) -> Result<(), Error>,
) -> (Error, Duration) {
    let mut net = Net::new();
    let builder = net.client().timeouts(timeouts());
    let serve = async {
        let _peer = script(&mut net).await;
        std::future::pending::<()>().await;
    };
    let began = Instant::now();
    tokio::select! {
        () = serve => unreachable!(),
        result = play(builder) => (result.unwrap_err(), began.elapsed()),
    }
}

fn check((error, took): (Error, Duration), phase: Phase, limit: Duration) {
    let Error::Timeout { phase: told, after, .. } = &error else { panic!("{phase}: {error}") };
    assert_eq!((*told, *after, error.blame()), (phase, limit, Blame::Timeout), "{error}");
    assert!(took >= limit && took < limit + Duration::from_secs(1), "{phase}: {took:?}");
}

async fn download(builder: Builder) -> Result<(), Error> {
    let mut client = builder.open().await?;
    let mut stream = client.download("f", 0).await?;
    stream.read_to_end(&mut Vec::new()).await.map_err(|error| error.downcast::<Error>().unwrap())?;
    stream.finish().await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn the_beginning() {
    let t = timeouts();
    let open = async |builder: Builder| builder.open().await.map(drop);
    check(silence(async |net| net.accept().await, open).await, Phase::Greeting, t.greeting);
    let greet = async |net: &mut Net| {
        let mut peer = net.accept().await;
        peer.say("220 hi").await;
        peer
    };
    check(silence(greet, open).await, Phase::Login, t.reply);
    let tls = async |builder: Builder| {
        let settings = TlsSettings { insecure: true, ..TlsSettings::default() };
        builder.tls(TlsMode::Explicit).tls_settings(settings).open().await.map(drop)
    };
    check(silence(greet, tls).await, Phase::Tls, t.reply);
    let agree = async |net: &mut Net| {
        let mut peer = greet(net).await;
        peer.answer("AUTH TLS", "234 go").await;
        peer
    };
    check(silence(agree, tls).await, Phase::Tls, t.tls);
}

#[tokio::test(start_paused = true)]
async fn commands() {
    let t = timeouts();
    let login = async |net: &mut Net| net.login().await;
    let noop = async |builder: Builder| builder.open().await?.noop().await.map(drop);
    check(silence(login, noop).await, Phase::Command, t.reply);
    let quit = async |builder: Builder| builder.open().await?.quit().await.map(drop);
    check(silence(login, quit).await, Phase::Command, t.quit);
    // A mark is not the end.
    let begun = async |net: &mut Net| {
        let mut peer = net.login().await;
        peer.answer("NOOP", "150 at it").await;
        peer
    };
    check(silence(begun, noop).await, Phase::Command, t.reply);
}

#[tokio::test(start_paused = true)]
async fn transfers() {
    let t = timeouts();
    let image = async |net: &mut Net| {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "200 ok").await;
        peer
    };
    let waits = async |builder: Builder| download(builder.send_ahead(false)).await;
    check(silence(image, waits).await, Phase::DataOpen, t.reply);
    let filtered = async |net: &mut Net| {
        let mut peer = image(net).await;
        let port = peer.filtered_port();
        peer.answer("EPSV", &format!("229 ok (|||{port}|)")).await;
        peer.answer("PASV", &format!("227 ok (192,0,2,1,{},{})", port >> 8, port & 255)).await;
        peer
    };
    let (error, took) = silence(filtered, download).await;
    assert!(matches!(error, Error::Timeout { phase: Phase::DataOpen, .. }), "{error}");
    // Both ways.
    assert!(took >= t.data_open * 2 && took < t.data_open * 2 + Duration::from_secs(1), "{took:?}");

    let silent = async |net: &mut Net| {
        let mut peer = image(net).await;
        let data = peer.passive().await;
        peer.hear("RETR f").await;
        std::mem::forget(data);
        peer
    };
    check(silence(silent, download).await, Phase::Command, t.reply);
    let stalled = async |net: &mut Net| {
        let mut peer = image(net).await;
        let mut data = peer.passive().await;
        peer.answer("RETR f", "150 go").await;
        data.write_all(b"half").await.unwrap();
        std::mem::forget(data);
        peer
    };
    check(silence(stalled, download).await, Phase::Transfer, t.stall);
    let unconfirmed = async |net: &mut Net| {
        let mut peer = image(net).await;
        let data = peer.passive().await;
        peer.answer("RETR f", "150 go").await;
        crate::memory::give(data, b"all").await;
        peer
    };
    check(silence(unconfirmed, download).await, Phase::FinalReply, t.final_reply);
    let full = async |net: &mut Net| {
        let mut peer = image(net).await;
        let data = peer.passive().await;
        peer.answer("STOR f", "150 go").await;
        std::mem::forget(data);
        peer
    };
    let upload = async |builder: Builder| {
        let mut client = builder.open().await?;
        let mut stream = client.upload("f", Upload::Whole).await?;
        loop {
            stream.write_all(&[0; 1000]).await.map_err(|error| error.downcast::<Error>().unwrap())?;
        }
    };
    check(silence(full, upload).await, Phase::Transfer, t.stall);
    let unstopped = async |net: &mut Net| {
        let mut peer = stalled(net).await;
        peer.hear("ABOR").await;
        peer
    };
    let abort = async |builder: Builder| {
        let mut client = builder.open().await?;
        let mut stream = client.download("f", 0).await?;
        stream.read_exact(&mut [0; 4]).await.unwrap();
        stream.abort().await
    };
    check(silence(unstopped, abort).await, Phase::Transfer, t.abort);
}
