mod section_3;
mod section_5;
mod section_6;
