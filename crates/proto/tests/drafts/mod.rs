mod bryan_hash;
mod bryan_range;
mod in_use;
mod preston_deflate;
mod somers_mfxx;
