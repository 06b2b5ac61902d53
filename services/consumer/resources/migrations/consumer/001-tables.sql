CREATE TABLE consumer.profiles (
  id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name    text NOT NULL,
  email   text NOT NULL,
  phone   text,
  address text,
  created timestamptz NOT NULL DEFAULT now()
);
