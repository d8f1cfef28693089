// A large drawing opens where its object is, not in its corner.

const region = document.querySelector(".graph");
const start = region?.querySelector(".start");
if (start) {
  const [shown, wanted] = [region, start].map((element) => element.getBoundingClientRect());
  region.scrollLeft += wanted.left + wanted.width / 2 - shown.left - shown.width / 2;
  region.scrollTop += wanted.top + wanted.height / 2 - shown.top - shown.height / 2;
}
