//! Marks to a page's content.

use krilla::Document;
use krilla::annotation::{LinkAnnotation, Target};
use krilla::color::rgb;
use krilla::destination::XyzDestination;
use krilla::geom::{Path, PathBuilder, Rect, Transform};
use krilla::page::PageSettings;
use krilla::paint::{Fill, LineJoin, Stroke, StrokeDash};
use krilla::surface::Surface;

use super::font::{self, Fonts};
use super::pages::{Page, Pages};
use super::{Paper, point};
use crate::render::picture::{Anchor, Look, Mark, Pair, Point, Style};

/// How far the third and fourth points of a Bézier curve stand from the ends of a quarter of a circle.
const ROUND: f32 = 0.5523;

/// Puts a page into the document.
pub(super) fn page(document: &mut Document, pages: &Pages, page: &Page, fonts: &Fonts, paper: Paper) -> Option<()> {
    let (width, height) = paper.points();
    let mut on = document.start_page_with(PageSettings::from_wh(width, height)?);
    for &((left, top), (right, bottom), section) in &page.links() {
        let Some(&(to, y)) = pages.sections.get(&section) else { continue };
        let (left, top) = pages.on_paper((left as f32, top as f32));
        let (right, bottom) = pages.on_paper((right as f32, bottom as f32));
        if let Some(rect) = Rect::from_ltrb(left, top, right, bottom) {
            let target = Target::Destination(place(pages, to, y).into());
            on.add_annotation(LinkAnnotation::new(rect, target).into());
        }
    }
    let mut surface = on.surface();
    let (left, top) = pages.on_paper((0.0, 0.0));
    surface.push_transform(&Transform::from_row(pages.scale, 0.0, 0.0, pages.scale, left, top));
    for mark in page.sketches.iter().flat_map(|sketch| &sketch.marks) {
        draw(&mut surface, mark, fonts);
    }
    surface.pop();
    surface.finish();
    on.finish();
    Some(())
}

/// A place on a page, with some room above it.
pub(super) fn place(pages: &Pages, page: usize, y: i64) -> XyzDestination {
    XyzDestination::new(pages.before + page, point(pages.on_paper((0.0, (y - 12) as f32))))
}

fn draw(surface: &mut Surface<'_>, mark: &Mark, fonts: &Fonts) {
    match mark {
        Mark::Text { at, look, anchor, text } => words(surface, *at, *look, *anchor, text, fonts),
        // Words cover what is behind them by themselves: here it is known how wide they are.
        Mark::Rect { look: Look::Chip, .. } => {}
        Mark::Rect { at, size, radius, look } => shape(surface, rectangle(*at, *size, *radius), look.style()),
        Mark::Line { from, to, look } => shape(surface, polygon(&[*from, *to], false), look.style()),
        Mark::Head { at: (x, y), right, tone } => {
            let back = if *right { x - 8 } else { x + 8 };
            let path = polygon(&[(*x, *y), (back, y - 4), (back, y + 4)], true);
            shape(surface, path, Look::Label(*tone).style());
        }
        Mark::Cross { at: (x, y), tone } => {
            for slope in [4, -4] {
                let path = polygon(&[(x - 4, y - slope), (x + 4, y + slope)], false);
                shape(surface, path, Style { width: 2.0, ..Look::Arrow(*tone, false).style() });
            }
        }
        // Links are no part of the content, and what belongs together needs no mark on paper.
        Mark::Begin { .. } | Mark::End | Mark::Link { .. } | Mark::EndLink => {}
    }
}

/// Draws words; those that stand off from lines behind them cover these.
fn words(surface: &mut Surface<'_>, (x, y): Point, look: Look, anchor: Anchor, text: &str, fonts: &Fonts) {
    let style = look.style();
    let Some(face) = style.face else { return };
    let size = face.size();
    let in_font = if face.is_bold() { &fonts.bold } else { &fonts.regular };
    let glyphs = in_font.glyphs(text, look == Look::Time);
    let width = font::width(&glyphs) * size;
    let start = x as f32
        - match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
    let edge = match look {
        Look::Label(_) => Some(5.0),
        Look::Under => Some(2.0),
        _ => None,
    };
    if let Some(edge) = edge {
        let mut path = PathBuilder::new();
        if let Some(rect) = Rect::from_xywh(start - edge, y as f32 - size * 0.86, width + 2.0 * edge, size * 1.16) {
            path.push_rect(rect);
        }
        shape(surface, path.finish(), Look::Chip.style());
    }
    surface.set_stroke(None);
    surface.set_fill(style.fill.map(fill));
    surface.draw_glyphs(point((start, y as f32)), &glyphs, in_font.font.clone(), text, size, false);
}

fn shape(surface: &mut Surface<'_>, path: Option<Path>, style: Style) {
    let Some(path) = path else { return };
    surface.set_fill(style.fill.map(fill));
    surface.set_stroke(style.stroke.map(|pair| Stroke {
        paint: colour(pair).into(),
        width: style.width,
        line_join: LineJoin::Round,
        dash: style.dash.map(|(dash, gap)| StrokeDash { array: vec![f32::from(dash), f32::from(gap)], offset: 0.0 }),
        ..Stroke::default()
    }));
    surface.draw_path(&path);
}

fn fill(pair: Pair) -> Fill {
    Fill { paint: colour(pair).into(), ..Fill::default() }
}

/// The colour on light pages: paper is one.
fn colour((light, _): Pair) -> rgb::Color {
    let number = light.strip_prefix('#').and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
    let [_, red, green, blue] = number.to_be_bytes();
    rgb::Color::new(red, green, blue)
}

fn polygon(points: &[Point], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (n, &(x, y)) in points.iter().enumerate() {
        let (x, y) = (x as f32, y as f32);
        if n == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn rectangle((left, top): Point, (width, height): Point, radius: i64) -> Option<Path> {
    let (left, top, width, height) = (left as f32, top as f32, width as f32, height as f32);
    let (right, bottom) = (left + width, top + height);
    let r = (radius as f32).min(width / 2.0).min(height / 2.0);
    let k = r * (1.0 - ROUND);
    let mut path = PathBuilder::new();
    path.move_to(left + r, top);
    path.line_to(right - r, top);
    path.cubic_to(right - k, top, right, top + k, right, top + r);
    path.line_to(right, bottom - r);
    path.cubic_to(right, bottom - k, right - k, bottom, right - r, bottom);
    path.line_to(left + r, bottom);
    path.cubic_to(left + k, bottom, left, bottom - k, left, bottom - r);
    path.line_to(left, top + r);
    path.cubic_to(left, top + k, left + k, top, left + r, top);
    path.close();
    path.finish()
}
