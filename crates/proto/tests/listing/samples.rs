//! The saved listings.

use std::fmt::Write as _;
use std::path::Path;

use port21_proto::listing::{Entry, EntryKind, Listed, ListingReader, Precision};
use port21_proto::text::Shown;

/// When they were saved.
pub(crate) const NOW: &str = "2005-05-02T21:07:00Z";

macro_rules! samples {
    ($($test:ident $file:literal)*) => {
        const FILES: &[&str] = &[$($file),*];
        $(#[test]
        fn $test() {
            insta::assert_snapshot!($file, read(&saved($file)));
        })*
    };
}

samples! {
    mlsd "mlsd"
    unix "unix"
    unix_imitations "unix-imitations"
    unix_of_the_mac "unix-mac"
    unix_localised "unix-localised"
    unix_recursive "unix-recursive"
    hfs "hfs"
    dos "dos"
    dos_with_long_years "dos-long"
    dos_with_days_first "dos-day-first"
    dos_with_points "dos-points"
    windows_ce "windows-ce"
    windows_ce_narrow "windows-ce-narrow"
    eplf "eplf"
    netware "netware"
    os2 "os2"
    vms "vms"
    mvs "mvs"
    members "members"
    load_modules "members-modules"
    os400 "os400"
    os400_with_points "os400-points"
    os400_with_years_first "os400-year-first"
    vm "vm"
    vm_filelist "vm-filelist"
    vm_byte_files "vm-bfs"
    nortel "nortel"
    vxworks "vxworks"
    a_mixture_is_read_in_one_dialect "mixed"
    no_listing_at_all "nothing"
}

#[test]
fn every_saved_listing_is_read() {
    let folder = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = folder.filter_map(|name| Some(name.strip_suffix(".txt")?.to_owned())).collect();
    let mut want = FILES.to_vec();
    files.sort_unstable();
    want.sort_unstable();
    assert_eq!(files, want);
}

pub(crate) fn saved(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name).with_extension("txt")).unwrap()
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/listing/samples"))
}

fn read(bytes: &[u8]) -> String {
    let mut reader = ListingReader::new(NOW.parse().unwrap());
    reader.handle_data(bytes);
    reader.handle_eof();
    let mut out = String::new();
    while let Some(listed) = reader.poll_listed() {
        match listed {
            Listed::Entry(entry) => writeln!(out, "{}", show(&entry)),
            Listed::Skipped(line) => writeln!(out, "- {}", Shown(&line)),
            Listed::Unreadable(line) => writeln!(out, "? {}", Shown(&line.raw)),
        }
        .unwrap();
    }
    let dialect = reader.dialect().map_or("none", |dialect| dialect.name());
    format!("{dialect}\n{out}")
}

/// `kind [name] -> target size date permissions:mode owner:group`, with what is not told left out.
fn show(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File => "file",
        EntryKind::Directory => "dir",
        EntryKind::CurrentDirectory => "cdir",
        EntryKind::ParentDirectory => "pdir",
        EntryKind::Symlink => "link",
        _ => "other",
    };
    let mut out = format!("{kind} [{}]", Shown(&entry.name));
    let mut put = |before: &str, text: Option<String>| {
        if let Some(text) = text {
            out += &format!("{before}{text}");
        }
    };
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| Shown(bytes).to_string());
    put(" -> ", text(&entry.target));
    put(" ", entry.size.map(|size| size.to_string()));
    put(" ~", entry.rough_size.map(|size| size.to_string()));
    put(
        " ",
        entry.modified.map(|modified| {
            let at = modified.at.to_string();
            let at = at.trim_end_matches('Z');
            let zone = if modified.utc { "Z" } else { "" };
            match modified.precision {
                Precision::Day => at.strip_suffix("T00:00:00").unwrap().to_owned() + zone,
                Precision::Minute => at.strip_suffix(":00").unwrap().to_owned() + zone,
                Precision::Second => at.to_owned() + zone,
            }
        }),
    );
    put(" ", text(&entry.permissions));
    put(" mode=", entry.mode.map(|mode| format!("{mode:04o}")));
    put(" links=", entry.links.map(|links| links.to_string()));
    put(" owner=", text(&entry.owner));
    put(" group=", text(&entry.group));
    put(" perm=", text(&entry.perm));
    put(" unique=", text(&entry.unique));
    put(" in ", text(&entry.directory));
    out
}
