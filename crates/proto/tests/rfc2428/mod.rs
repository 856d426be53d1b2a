mod section_2;
mod section_3;
mod section_4;
