CREATE OR REPLACE VIEW {view} {definition}
