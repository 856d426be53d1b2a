mod section_3;
