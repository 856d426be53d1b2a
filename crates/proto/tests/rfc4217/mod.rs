mod section_10;
mod section_11;
mod section_4;
mod section_9;
