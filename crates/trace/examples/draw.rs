//! Draws a recording or a capture: `draw FILE.jsonl [WIDTH | svg | pdf | html | mermaid | json]`.

use std::io::Write as _;

use port21_trace::drawing::{Drawing, Format, Which};
use port21_trace::input::{self, Input};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("a recording's name, please")?;
    let bytes = Box::new(std::fs::File::open(&file)?);
    let recording = input::read([Input { name: file, bytes }])?;
    let mut drawing = Drawing { which: Which::All, ..Drawing::default() };
    for argument in arguments {
        match argument.as_str() {
            "svg" => drawing.format = Format::Svg,
            "pdf" => drawing.format = Format::Pdf,
            "html" => drawing.format = Format::Html,
            "mermaid" => drawing.format = Format::Mermaid,
            "json" => drawing.format = Format::Json,
            "ascii" => drawing.text.ascii = true,
            "colour" => drawing.text.colour = true,
            "fields" => drawing.ladder.fields = true,
            "no-tcp" => drawing.ladder.tcp = false,
            width => match width.parse() {
                Ok(width) => drawing.text.width = width,
                Err(_) => drawing.ladder.only = Some(width.parse()?),
            },
        }
    }
    std::io::stdout().write_all(&drawing.file(&recording)?)?;
    for note in &recording.notes {
        eprintln!("{note}");
    }
    Ok(())
}
