-- The last control id that a delivery was given when it was made anew. Its number is a delivery's that has no row, so the greatest id of
-- a row does not say that it is taken. Numbers are base 36: the longest, then the last in the alphabet, is the greatest.
INSERT INTO meta (name, value)
SELECT 'renewed', control_id FROM delivery WHERE former_control_id <> ''
ORDER BY length(control_id) DESC, control_id DESC LIMIT 1;
