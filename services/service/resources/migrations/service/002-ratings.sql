CREATE TABLE service.ratings (
  provider uuid PRIMARY KEY,
  rating   numeric(2, 1) NOT NULL
);
-- What was heard of a provider is newer than what it said when the offer was made.
CREATE VIEW service.rated_offers AS
  SELECT offers.id, offers.provider, offers.type, offers.area, offers.cost, COALESCE(ratings.rating, offers.rating) AS rating
  FROM service.offers LEFT JOIN service.ratings ON ratings.provider = offers.provider;
