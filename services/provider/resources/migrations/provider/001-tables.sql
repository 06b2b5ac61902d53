CREATE TABLE provider.profiles (
  id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name    text NOT NULL,
  phone   text,
  since   date,
  created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE provider.ratings (
  provider uuid NOT NULL REFERENCES provider.profiles ON DELETE CASCADE,
  rating   integer NOT NULL CHECK (rating BETWEEN 1 AND 5),
  comment  text,
  created  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ratings_of ON provider.ratings (provider);
