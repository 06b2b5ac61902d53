CREATE TABLE orders.bookings (
  id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  consumer uuid NOT NULL,
  provider uuid NOT NULL,
  service  uuid NOT NULL,
  day      date NOT NULL,
  cost     numeric(10, 2) NOT NULL,
  state    text NOT NULL,
  created  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bookings_of_consumer ON orders.bookings (consumer, created DESC);
CREATE INDEX bookings_of_provider ON orders.bookings (provider, created DESC);
CREATE TABLE orders.keys (
  consumer uuid NOT NULL,
  key      text NOT NULL,
  booking  uuid NOT NULL REFERENCES orders.bookings,
  PRIMARY KEY (consumer, key)
);
