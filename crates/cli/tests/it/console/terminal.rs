//! The console at a terminal: the prompt, bars, ^C, questions.

use super::super::support::Site;
use super::super::terminal::Terminal;

#[test]
fn an_interrupt_stops_the_transfer_and_keeps_the_session() {
    let site = Site::start();
    std::fs::File::create(site.remote("pub/big")).unwrap().set_len(1 << 30).unwrap();
    let mut terminal = Terminal::start(&site, &["shell", &site.bob("pub/")]);
    terminal.shows("port21> ");
    terminal.types("rate get 200k\r");
    terminal.shows("maximum: 204800");
    terminal.shows("port21> ");
    terminal.types("get big\r");
    // The bar: how far, of how much, how fast.
    terminal.shows("/1.00 GiB ");
    terminal.shows("KiB/s");
    // ^\ asks how far it has come.
    terminal.types("\x1c");
    terminal.shows(" bytes received in ");
    terminal.types("\x03");
    terminal.shows("Interrupted.");
    terminal.shows("port21> ");
    terminal.types("pwd\r");
    terminal.shows("257 \"/pub\"");
    terminal.shows("port21> ");
    // It is the same session: nobody has logged in again.
    terminal.types("rate get 0\r");
    terminal.shows("port21> ");
    terminal.types("get readme.txt\r");
    terminal.shows("8 bytes received in");
    // ^C at the prompt ends nothing.
    terminal.shows("port21> ");
    terminal.types("\x03");
    terminal.shows("port21> ");
    terminal.types("bye\r");
    terminal.shows("221 ");
    let screen = terminal.screen();
    assert_eq!(screen.matches("230 ").count(), 1, "{screen}");
    assert!(!site.local("big").exists());
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn questions_colours_and_the_prompt() {
    let site = Site::start();
    for name in ["m1", "m2", "m3", "m4"] {
        std::fs::write(site.remote("pub").join(name), name).unwrap();
    }
    let mut terminal = Terminal::start(&site, &["shell", &site.bob("")]);
    terminal.shows("port21> ");
    terminal.types("set prompt \"%n at %/ > \"\r");
    terminal.shows("bob at / > ");
    terminal.types("ls\r");
    terminal.shows("\x1b[1;34mpub\x1b[0m");
    terminal.types("cd pub\r");
    terminal.shows("bob at /pub > ");
    terminal.types("mget m*\r");
    terminal.shows("mget m1 [anpqy?]? ");
    terminal.types("?\n");
    terminal.shows("mget m1 [anpqy?]? ");
    terminal.types("n\n");
    terminal.shows("mget m2 [anpqy?]? ");
    terminal.types("y\n");
    terminal.shows("mget m3 [anpqy?]? ");
    terminal.types("a\n");
    terminal.shows("Prompting off for duration of mget.");
    terminal.shows("bob at /pub > ");
    // What is missing is asked for.
    terminal.types("rename\r");
    terminal.shows("(from) ");
    terminal.types("m1\n");
    terminal.shows("(to) ");
    terminal.types("m9\n");
    terminal.shows("bob at /pub > ");
    terminal.types("macdef two\r");
    terminal.shows("macro> ");
    terminal.types("size m9\r");
    terminal.shows("macro> ");
    terminal.types("\r");
    terminal.shows("bob at /pub > ");
    terminal.types("$two\r");
    terminal.shows("m9\t2");
    terminal.shows("bob at /pub > ");
    terminal.types("edit off\r");
    terminal.shows("Editing mode off.");
    terminal.shows("bob at /pub > ");
    terminal.types("lpwd\n");
    terminal.shows("Local directory: ");
    terminal.shows("bob at /pub > ");
    terminal.types("\x04");
    terminal.shows("221 ");
    let got = |name: &str| site.local(name).exists();
    assert_eq!((got("m1"), got("m2"), got("m3"), got("m4")), (false, true, true, true));
    assert_eq!(terminal.ends(), Some(0));
}
