CREATE TABLE service.offers (
  id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  provider uuid NOT NULL,
  type     text NOT NULL,
  area     text NOT NULL,
  cost     numeric(10, 2) NOT NULL,
  rating   numeric(2, 1),
  created  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX offers_searched ON service.offers (type, area, cost);
