(ns helping-hands.service.ratings
  "What was heard last of each provider's rating. It is kept apart from the offers, so that one that is made at the same
  moment shows it, too."
  (:require [clojure.java.jdbc :as jdbc]))

(defn hear
  "What settles a message of the queue (see `queue/work-one`), however often it comes."
  [{:strs [provider rating]}]
  (fn [tx _]
    (jdbc/execute! tx [(str "INSERT INTO service.ratings (provider, rating) VALUES (?::uuid, ?) "
                            "ON CONFLICT (provider) DO UPDATE SET rating = excluded.rating")
                       provider rating])))
