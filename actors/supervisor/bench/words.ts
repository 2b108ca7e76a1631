/** Words that byte-pair vocabularies hold as one token when a blank stands before them. */
export const COMMON_WORDS: readonly string[] = (
  "the of and to in is was for that with as on by are from at his an were which be this has also had their not but " +
  "one have or its other been who when first new time two after more only some into over most such all there may " +
  "years made people city world state many they between university year government under where used out during part " +
  "would number about national high day war house water school work group team family long early public called city " +
  "name well back life river second game small large south north west east line area system power music white black " +
  "book film party law king church street road station building service company business history story end home " +
  "season career death age law order form field land light point road sound air body book change church class club"
)
  .split(" ")
  .filter((word, i, all) => all.indexOf(word) === i);
