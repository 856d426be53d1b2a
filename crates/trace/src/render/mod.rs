//! The ladder in its forms.

mod svg;
mod text;
mod wrap;

pub use svg::{SvgOptions, svg};
pub use text::{TextOptions, text};
