//! Replies that are not as RFC 959 has them.

use std::time::Duration;

use port21_client::{Blame, Error, Phase, Upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::memory::{Net, fetch, give, take};

#[tokio::test(start_paused = true)]
async fn the_final_reply_comes_before_the_end_of_the_data() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "200 ok").await;
        let data = peer.passive().await;
        peer.answer("RETR f", "150 go\r\n226 done").await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        give(data, b"late").await;
        // An upload that is done before its end is none.
        let mut data = peer.passive().await;
        peer.answer("STOR f", "150 go\r\n226 done").await;
        take(&mut data).await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        assert_eq!(fetch(&mut client, "f").await, b"late");
        let upload = async {
            let mut stream = client.upload("f", Upload::Whole).await?;
            stream.write_all(b"half").await.map_err(|error| error.downcast::<Error>().unwrap())?;
            stream.finish().await
        };
        let error = upload.await.unwrap_err();
        assert_eq!((error.phase(), error.blame()), (Some(Phase::Transfer), Blame::Peer), "{error}");
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn the_final_reply_comes_only_after_the_client_s_end() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "200 ok").await;
        for ends_first in [true, false] {
            let mut data = peer.passive().await;
            peer.answer("RETR f", "150 go").await;
            data.write_all(b"all of it").await.unwrap();
            if ends_first {
                data.shutdown().await.unwrap();
                // Whoever waited for the 226 first would wait for ever.
                assert!(take(&mut data).await.is_empty());
            }
            drop(data);
            peer.say("226 done").await;
        }
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        for _ in 0..2 {
            assert_eq!(fetch(&mut client, "f").await, b"all of it");
        }
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_before_the_data() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "200 ok").await;
        for bytes in [&b"bytes"[..], b""] {
            let data = peer.passive().await;
            peer.hear("RETR f").await;
            give(data, bytes).await;
            peer.say("226 done").await;
        }
        let mut data = peer.passive().await;
        peer.hear("STOR f").await;
        // It waits for bytes, and the client for its word.
        assert_eq!(take(&mut data).await, b"bytes");
        drop(data);
        peer.say("226 done").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        assert_eq!(fetch(&mut client, "f").await, b"bytes");
        assert_eq!(fetch(&mut client, "f").await, b"");
        let mut stream = client.upload("f", Upload::Whole).await.unwrap();
        stream.write_all(b"bytes").await.unwrap();
        stream.finish().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn other_codes_that_mean_the_same() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "250 ok").await;
        for (begins, ends) in [("125 here it comes", "250 done"), ("150 go", "200 done"), ("120 soon", "226 done")] {
            let data = peer.passive().await;
            peer.answer("RETR f", begins).await;
            give(data, b"bytes").await;
            peer.say(ends).await;
        }
        for command in ["CWD a", "CDUP", "RMD a", "DELE f", "NOOP"] {
            peer.answer(command, "200 ok").await;
        }
        peer.answer("MKD a", "250 made").await;
        peer.answer("RNFR a", "200 go on").await;
        peer.answer("RNTO b", "200 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        for _ in 0..3 {
            assert_eq!(fetch(&mut client, "f").await, b"bytes");
        }
        client.cwd("a").await.unwrap();
        client.cdup().await.unwrap();
        client.rmdir("a").await.unwrap();
        client.remove("f").await.unwrap();
        client.noop().await.unwrap();
        client.mkdir("a").await.unwrap();
        client.rename("a", "b").await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn the_final_reply_comes_twice() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("TYPE I", "200 ok").await;
        peer.send("RETR f", b"bytes").await;
        peer.say("226 done").await;
        // Also once the next command is on its way.
        peer.answer("SIZE f", "213 5").await;
        peer.send("RETR f", b"bytes").await;
        peer.answer("CWD a", "226 done\r\n250 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        assert_eq!(fetch(&mut client, "f").await, b"bytes");
        assert_eq!(client.size("f").await.unwrap(), 5);
        assert_eq!(fetch(&mut client, "f").await, b"bytes");
        assert_eq!(client.cwd("a").await.unwrap().code(), 250);
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn several_lines_end_with_another_code() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.accept().await;
        peer.say("220-Welcome\r\n220-to this\r\n221 server").await;
        peer.answer("USER anonymous", "230-Mind\r\n530 such lines\r\n230 in").await;
        // A list of files in it, say: as long as more comes it is no end.
        peer.hear("CWD a").await;
        peer.say("250-README:").await;
        peer.say("550 files of 1999").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        peer.say("250 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        assert_eq!(client.greeting().code(), 221);
        assert_eq!(client.cwd("a").await.unwrap().code(), 250);
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
    assert!(net.log.has("note a reply of several lines ends with another code than it has begun with: 221 server"));
}

#[tokio::test(start_paused = true)]
async fn blank_lines_stand_between_replies() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.accept().await;
        peer.say("\r\n \r\n220-hi\r\n\r\n220 there\r\n").await;
        peer.answer("USER anonymous", "\r\n230 in\r\n\r\n").await;
        peer.answer("PWD", "\r\n257 \"/a\"").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        assert_eq!(client.pwd().await.unwrap(), b"/a");
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

/// A session that the server ends with 421 once it has heard so many commands.
async fn closed_after(commands: usize) -> (Error, Net) {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.accept().await;
        let script = ["220 hi", "331 password", "230 in", "250 ok", "200 ok", "", "150 go"];
        let mut data = None;
        for (n, reply) in script.iter().enumerate() {
            if n > 0 {
                peer.line().await;
            }
            if n == commands {
                break;
            }
            if reply.is_empty() {
                let mut port = peer.port();
                peer.say(&format!("229 ok (|||{}|)", port.number)).await;
                data = Some(port.accept().await);
            } else {
                peer.say(reply).await;
            }
        }
        if let Some(data) = &mut data {
            data.write_all(b"half").await.unwrap();
        }
        peer.say("421-Good bye,\r\n421 we are closing").await;
    };
    let play = async {
        let mut client = builder.open().await?;
        client.cwd("a").await?;
        let mut bytes = Vec::new();
        let mut stream = client.download("f", 0).await?;
        stream.read_to_end(&mut bytes).await.map_err(|error| error.downcast::<Error>().unwrap())?;
        stream.finish().await
    };
    let (_, result) = tokio::join!(serve, play);
    (result.unwrap_err(), net)
}

#[tokio::test(start_paused = true)]
async fn the_server_closes_at_any_time() {
    use Phase::{Command, DataOpen, Greeting, Login, Transfer};
    let phases = [Greeting, Login, Login, Command, Command, DataOpen, Command, Transfer];
    for (commands, phase) in phases.into_iter().enumerate() {
        let (error, _net) = closed_after(commands).await;
        assert!(matches!(error, Error::ServiceClosing { .. }), "{commands}: {error}");
        assert_eq!(error.phase(), Some(phase), "{commands}");
        assert_eq!(error.reply().unwrap().text(), b"we are closing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_closed_can_be_begun_anew() {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("CWD a", "250 ok").await;
        peer.say("421 idle for too long").await;
        drop(peer);
        let mut peer = net.login().await;
        peer.answer("CWD a", "250 ok").await;
        peer.answer("NOOP", "200 ok").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        client.cwd("a").await.unwrap();
        let error = client.idle(Duration::from_secs(60)).await;
        assert!(matches!(error, Error::ServiceClosing { .. }), "{error}");
        assert!(!client.is_connected());
        client.reconnect().await.unwrap();
        client.noop().await.unwrap();
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn quit_is_not_answered() {
    for words in ["", "221 bye"] {
        let mut net = Net::new();
        let builder = net.client();
        let serve = async {
            let mut peer = net.login().await;
            peer.hear("QUIT").await;
            if !words.is_empty() {
                peer.say(words).await;
            }
            // It does not close either: the client does, after a while.
            peer.ended().await;
        };
        let play = async {
            let answer = builder.open().await.unwrap().quit().await;
            if words.is_empty() {
                assert!(matches!(answer, Err(Error::Timeout { .. })));
            } else {
                assert_eq!(answer.unwrap().unwrap().code(), 221);
            }
        };
        tokio::join!(serve, play);
    }
    let mut net = Net::new();
    let builder = net.client();
    let serve = async { net.login().await.hear("QUIT").await };
    let play = async { assert!(builder.open().await.unwrap().quit().await.unwrap().is_none()) };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn abor_is_ignored() {
    // For as long as the transfer takes; for ever; and the server says nothing to ABOR itself.
    for ends in [true, false] {
        let mut net = Net::new();
        let builder = net.client();
        let serve = async {
            let mut peer = net.login().await;
            peer.answer("TYPE I", "200 ok").await;
            let mut data = peer.passive().await;
            peer.answer("RETR f", "150 go").await;
            data.write_all(&[b'x'; 100_000]).await.unwrap();
            peer.hear("ABOR").await;
            if ends {
                drop(data);
                peer.say("226 done").await;
                // What is missing cannot be told from one reply.
                peer.answer("NOOP", "200 ok").await;
            } else {
                // The client has let go of it, and then of everything.
                while data.write_all(&[b'x'; 1000]).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                peer.ended().await;
                peer = net.login().await;
            }
            peer.answer("PWD", "257 \"/a\"").await;
            peer.quit().await;
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            let mut stream = client.download("f", 0).await.unwrap();
            stream.read_exact(&mut [0; 100_000]).await.unwrap();
            drop(stream);
            assert_eq!(client.pwd().await.unwrap(), b"/a");
            client.quit().await.unwrap();
        };
        tokio::join!(serve, play);
    }
}
