//! The ladder in its forms.

mod svg;
mod text;

pub use svg::{SvgOptions, svg};
pub use text::{TextOptions, text};
