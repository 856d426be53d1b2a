//! A file that is not text was transferred in ASCII mode.

use port21_proto::parameters::Representation;

use super::case::{Case, Found, title};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "ascii-binary",
    severity: Severity::Warning,
    when: "A file that is not text was transferred in ASCII mode.",
    source: "RFC 959 section 3.1.1.1",
    advice: "Set TYPE I before the transfer, and transfer the file again: line ends were changed in it.",
    check,
};

/// Endings of files that are no text.
const BINARY: [&str; 40] = [
    "zip", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "tar", "jar", "jpg", "jpeg", "png", "gif", "webp", "tif",
    "tiff", "bmp", "ico", "mp3", "mp4", "mkv", "avi", "mov", "flac", "ogg", "wav", "pdf", "doc", "docx", "xls", "xlsx",
    "exe", "dll", "so", "iso", "img", "bin", "deb", "rpm",
];

fn check(case: &Case<'_>, found: &mut Found) {
    let text = case.session.transfers().iter().filter(|t| t.representation == Representation::Ascii && !t.is_listing());
    for t in text.filter(|t| t.bytes > 0) {
        let ending = t.name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        if let Some(command) = case.exchange(t).and_then(|x| x.command).filter(|_| BINARY.contains(&ending.as_str())) {
            found.add(
                &RULE,
                command,
                [],
                format!("{} in ASCII mode: the file's bytes are changed on the way.", title(t)),
            );
        }
    }
}
