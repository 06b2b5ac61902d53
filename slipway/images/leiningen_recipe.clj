;; How Leiningen compiles and packs a project, as it does: what it runs and what it puts into its jars is written down
;; on the way, a line each, a kind and a value. Nothing of the build is changed. Where something is not plainly
;; understood there is a line that says so, and the recipe is not used. leiningen_project.clj loads this.
(ns slipway.leiningen-recipe
  (:require [clojure.java.io :as io]
            [leiningen.core.eval]
            [leiningen.jar]
            [leiningen.uberjar])
  (:import (java.io ByteArrayOutputStream File PushbackReader)
           (java.util Base64)
           (java.util.jar Manifest)))

(defn- base64 [^bytes content]
  (.encodeToString (Base64/getEncoder) content))

(defn- note [path kind value]
  (spit path (str kind " " (pr-str (str value)) "\n") :append true))

(defn- files [folder]
  (filter #(.isFile ^File %) (file-seq (io/file folder))))

(defn- relative [folder ^File file]
  (str (.relativize (.toPath (io/file folder)) (.toPath file))))

(defn- plain-text?
  "Whether a project.clj is one form without code: what it says does not change while its text is the same."
  [file]
  (let [text (slurp file)]
    (and (not (re-find #"#=" text))
         (with-open [reader (PushbackReader. (io/reader (io/file file)))]
           (binding [*read-eval* false]
             (let [form (read reader false nil)]
               (and (seq? form)
                    (= 'defproject (first form))
                    (nil? (read reader false nil))
                    (not-any? #{'clojure.core/unquote 'clojure.core/unquote-splicing}
                              (tree-seq coll? seq form)))))))))

(def ^:private own-tasks #{"uberjar" "jar" "compile" "javac" "clean" "pom" "do" "update-in" "with-profile"})

(defn- fixed-version? [[_ version]]
  (and (string? version) (not (re-find #"SNAPSHOT|LATEST|RELEASE|[\[\](),]" version))))

(defn- unclear
  "What of a project is not understood here; nil if everything is."
  [{:keys [root] :as project}]
  (some (fn [[what clear?]] (when-not clear? what))
        [[":plugins" (empty? (:plugins project))]
         [":hooks" (empty? (:hooks project))]
         [":middleware" (empty? (:middleware project))]
         [":prep-tasks" (= ["javac" "compile"] (:prep-tasks project ["javac" "compile"]))]
         [":java-source-paths" (empty? (:java-source-paths project))]
         [":java-agents" (empty? (:java-agents project))]
         [":eval-in" (contains? #{nil :default :subprocess} (:eval-in project))]
         [":filespecs" (empty? (:filespecs project))]
         [":classifiers" (empty? (:classifiers project))]
         [":clean-non-project-classes" (not (:clean-non-project-classes project))]
         [":auto-clean" (:auto-clean project true)]
         [":aliases" (not-any? #(contains? own-tasks (str %)) (keys (:aliases project)))]
         [":aot" (every? symbol? (:aot project))]
         [":manifest" (every? #(or (string? %) (number? %)) (vals (:manifest project)))]
         [":dependencies" (every? fixed-version? (concat (:dependencies project) (:managed-dependencies project)))]
         [":scm" (empty? (:scm project))]
         ["checkouts" (not (.exists (io/file root "checkouts")))]
         ["project.clj" (plain-text? (io/file root "project.clj"))]]))

(defn- note-run
  "The program that Leiningen runs: its words without the file of its code, that code, and what is compiled already."
  [path project words]
  (doseq [word (butlast words)] (note path "word" word))
  (note path "run" (slurp (last words)))
  (doseq [[variable value] (System/getenv)] (note path "variable" (str variable "=" value)))
  (note path "root" (:root project))
  (note path "classes" (:compile-path project))
  (doseq [file (files (:compile-path project))]
    (note path "seed" (relative (:compile-path project) file))
    (note path "bytes" (base64 (.getBytes ^String (slurp file))))))

(defn- note-spec [path {:keys [type] :as spec}]
  (case type
    :bytes (let [content (:bytes spec)]
             (note path "entry" (:path spec))
             (note path "bytes" (base64 (if (string? content) (.getBytes ^String content) content))))
    :path (note path "tree" (:path spec))
    :paths (doseq [one (:paths spec)] (note path "tree" one))
    (note path "unclear" (str ":filespecs " type))))

(defn- note-jar [path project file specs]
  (note path "thin" file)
  (when-let [what (unclear project)] (note path "unclear" what))
  (let [out (ByteArrayOutputStream.)]
    (.write ^Manifest (leiningen.jar/make-manifest project) out)
    (note path "manifest" (base64 (.toByteArray out))))
  (doseq [spec specs] (note-spec path spec))
  (doseq [kind ["jar-exclusions" "jar-inclusions"], pattern (get project (keyword kind))] (note path kind pattern)))

(defn- note-uberjar [path project jars _]
  (doseq [pattern (:uberjar-exclusions project)] (note path "uberjar-exclusions" pattern))
  (doseq [pattern (keys (:uberjar-merge-with project))]
    (note path "merged" (if (string? pattern) (str "^" (java.util.regex.Pattern/quote pattern) "$") pattern)))
  (doseq [jar (rest jars)] (note path "dependency" jar)))

(defn- tool-jar []
  (second (re-find #"^jar:file:(.*)!" (str (io/resource "leiningen/core/main.clj")))))

(defn- note-if-possible
  "Have `write` note what it can; the build goes on whatever comes of it."
  [path write & given]
  (try
    (apply write path given)
    (catch Throwable error
      (try (note path "unclear" error) (catch Throwable _)))))

(defn record
  "Have what this Leiningen builds from now on written to a file."
  [path]
  (note path "tool" (tool-jar))
  (note path "tool" (System/getProperty "leiningen.script"))
  (alter-var-root #'leiningen.core.eval/shell-command
                  (fn [original]
                    (fn [project & more]
                      (let [words (apply original project more)]
                        (note-if-possible path note-run project words)
                        words))))
  (alter-var-root #'leiningen.jar/write-jar
                  (fn [original]
                    (fn [& given]
                      (apply note-if-possible path note-jar given)
                      (apply original given))))
  (alter-var-root #'leiningen.uberjar/write-components
                  (fn [original]
                    (fn [& given]
                      (apply note-if-possible path note-uberjar given)
                      (apply original given)))))
