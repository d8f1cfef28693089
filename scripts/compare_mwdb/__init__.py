"""What `scripts/compare-mwdb` is made of: two servers, one who asks both, and the questions."""
