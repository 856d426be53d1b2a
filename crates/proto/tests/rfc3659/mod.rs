mod section_2_3;
mod section_3;
mod section_4;
mod section_5;
mod section_6;
mod section_7;
