(ns helping-hands.shared.table
  "Tables whose rows are what a service keeps under ids: made, read, changed and removed. A table is {:name, :columns};
  columns are {NAME TYPE}, with the names of the fields in JSON. `sql` is what clojure.java.jdbc takes, or a transaction."
  (:require [clojure.java.jdbc :as jdbc]
            [clojure.string :as str]))

(defn query
  "The rows that a query finds, {:column value}, without columns that have none."
  [sql & words]
  (map #(into {} (filter (comp some? val)) %) (jdbc/query sql (vec words))))

(defn one
  "The first row that a query finds, or that a statement with RETURNING gives; nil where there is none."
  [sql & words]
  (first (apply query sql words)))

(defn columns
  "What a row shows, as SQL: ids and dates as text."
  [{:keys [columns]}]
  (str/join ", " (for [[name type] (assoc columns "id" "uuid")]
                   (if (#{"uuid" "date"} type) (str name "::text AS " name) name))))

(defn- given
  "The columns that `values`, {field value}, gives, and their placeholders and values."
  [table values]
  (let [names (filter values (keys (:columns table)))]
    {:names  names
     :marks  (for [name names] (str "?::" (get-in table [:columns name])))
     :values (map values names)}))

(defn insert
  "Makes a row of these values: the row as it is now, with its id."
  [sql table values]
  (let [{:keys [names marks values]} (given table values)]
    (apply one sql (str "INSERT INTO " (:name table) " (" (str/join ", " names) ") VALUES (" (str/join ", " marks)
                        ") RETURNING " (columns table))
           values)))

(defn fetch
  "The row of this id, or nil."
  [sql table id]
  (one sql (str "SELECT " (columns table) " FROM " (:name table) " WHERE id = ?::uuid") id))

(defn hold
  "The row of this id, or nil; nobody else changes or removes it, or holds it, before the transaction `tx` ends."
  [tx table id]
  (one tx (str "SELECT " (columns table) " FROM " (:name table) " WHERE id = ?::uuid FOR UPDATE") id))

(defn change
  "Changes these values of a row: the row as it is now, or nil where there is none."
  [sql table id values]
  (let [{:keys [names marks values]} (given table values)]
    (apply one sql (str "UPDATE " (:name table) " SET " (str/join ", " (map #(str %1 " = " %2) names marks))
                        " WHERE id = ?::uuid RETURNING " (columns table))
           (concat values [id]))))

(defn delete
  "Removes a row. True if there was one."
  [sql table id]
  (some? (one sql (str "DELETE FROM " (:name table) " WHERE id = ?::uuid RETURNING 1 AS one") id)))

(defn search
  "The rows for which each of these conditions holds, [[SQL value] …], those without a value apart; a hundred at most."
  [sql table conditions order]
  (let [conditions (filter (comp some? second) conditions)]
    (apply query sql (str "SELECT " (columns table) " FROM " (:name table)
                          (when (seq conditions) (str " WHERE " (str/join " AND " (map first conditions))))
                          " ORDER BY " order " LIMIT 100")
           (map second conditions))))
