(ns helping-hands.service.operations
  "What the service does, by the operationId of openapi.json."
  (:require [helping-hands.shared.calls :as calls]
            [helping-hands.shared.http :refer [answer refuse]]
            [helping-hands.shared.table :as table]))

(def ^:private offers
  {:name    "service.offers"
   :columns {"provider" "uuid", "type" "text", "area" "text", "cost" "numeric", "rating" "numeric"}})

(def ^:private none (refuse 404 "there is no service of this id"))

(defn- rated
  "The values of an offer with its provider's rating, or nil where there is no such provider."
  [system caller provider values]
  (when-let [{:strs [rating]} (calls/lookup system caller "provider" provider)]
    (cond-> values rating (assoc "rating" rating))))

(def ^:private no-provider (refuse 409 "there is no provider of this id"))

(defn- create [{:keys [sql] :as system} {:keys [body caller]}]
  (if-let [values (rated system caller (body "provider") body)]
    (let [made (table/insert sql offers values)]
      (answer 201 made {"Location" (str "/services/" (:id made))}))
    no-provider))

(defn- fetch [{:keys [sql]} {{:strs [id]} :params}]
  (if-let [found (table/fetch sql offers id)]
    (answer 200 found)
    none))

(defn- change [{:keys [sql] :as system} {{:strs [id]} :params, :keys [body caller]}]
  (if-let [{:keys [provider]} (table/fetch sql offers id)]
    (if-let [values (rated system caller provider body)]
      (if-let [changed (table/change sql offers id values)]
        (answer 200 changed)
        none)
      no-provider)
    none))

(defn- delete [{:keys [sql]} {{:strs [id]} :params}]
  (if (table/delete sql offers id)
    {:status 204}
    none))

(defn- search [{:keys [sql]} {{:strs [type area provider max_cost min_rating]} :params}]
  (answer 200 {:services (table/search sql offers [["type = ?" type]
                                                   ["area = ?" area]
                                                   ["provider = ?::uuid" provider]
                                                   ["cost <= ?" max_cost]
                                                   ["rating >= ?" min_rating]]
                                       "cost, id")}))

(def all {"create" create, "read" fetch, "update" change, "delete" delete, "search" search})
