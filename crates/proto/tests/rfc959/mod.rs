mod section_3_1_1;
mod section_3_4;
mod section_4_1_1;
mod section_4_1_2;
mod section_4_1_3;
mod section_4_2;
mod section_5_3;
mod section_5_4;
